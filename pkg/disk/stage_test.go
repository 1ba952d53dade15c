package disk

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/fairlead-io/fairlead/pkg/disk/disktest"
)

func TestAnEmptyDiskIsFormattedAndKeepsItsDataFromThenOn(t *testing.T) {
	for _, fsType := range []string{Ext4, XFS} {
		t.Run(fsType, func(t *testing.T) {
			m := newMachine(t, gib)
			m.must(m.stage(fsType))
			m.write(m.staging, "precious")
			m.must(m.stage(fsType)) // again, while mounted
			m.must(m.Unstage(t.Context(), volumeA, m.staging))
			m.must(m.Unstage(t.Context(), volumeA, m.staging)) // again
			spy := spyOn(m.Host)
			m.must(m.stage(fsType))
			if got := m.read(m.staging); got != "precious" {
				t.Errorf("read %q", got)
			}
			if spy.count("mkfs."+fsType) != 0 {
				t.Error("formatted a second time")
			}
			if how := mountedHow(t, m.staging); !strings.HasPrefix(how, fsType) {
				t.Errorf("mounted as %s", how)
			}
		})
	}
}

func TestTheFileSystemTypeIsExt4UnlessTheDiskHasOne(t *testing.T) {
	t.Run("empty disk", func(t *testing.T) {
		m := newMachine(t, gib)
		m.must(m.stage(""))
		if how := mountedHow(t, m.staging); !strings.HasPrefix(how, Ext4) {
			t.Errorf("mounted as %s", how)
		}
	})
	t.Run("disk with xfs", func(t *testing.T) {
		m := newMachine(t, gib)
		m.tool("mkfs.xfs", "-q", m.loop.Path)
		m.must(m.stage(""))
		if how := mountedHow(t, m.staging); !strings.HasPrefix(how, XFS) {
			t.Errorf("mounted as %s", how)
		}
	})
}

func TestMountFlagsReachTheFileSystem(t *testing.T) {
	for _, fsType := range []string{Ext4, XFS} {
		t.Run(fsType, func(t *testing.T) {
			m := newMachine(t, gib)
			m.must(m.stage(fsType, "noatime", "sync"))
			how := mountedHow(t, m.staging)
			for _, want := range []string{"noatime", "sync"} {
				if !strings.Contains(how, want) {
					t.Errorf("%s is missing in %s", want, how)
				}
			}
			if fsType == XFS && !strings.Contains(how, "nouuid") {
				t.Errorf("a clone could not be mounted beside its origin: %s", how)
			}
		})
	}
}

func TestARequestThatCannotBeFulfilledChangesNothing(t *testing.T) {
	for _, tc := range []struct {
		name, fsType, says string
		flags              []string
	}{
		{"a file system that we do not make", "ext3", `fsType "ext3": allowed are ext4 and xfs`, nil},
		{"a mount option that would mount something else", Ext4, `"bind"`, []string{"bind"}},
		{"the same hidden in a list", Ext4, `"remount"`, []string{"noatime,remount"}},
		{"the same with a value", Ext4, `"offset"`, []string{"offset=4096"}},
		{"an empty disk, read-only", Ext4, "read-only", []string{"ro"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := newMachine(t, gib)
			err := m.stage(tc.fsType, tc.flags...)
			if !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("error %v, want ErrInvalid with %s", err, tc.says)
			}
			m.mustNotChange(make([]byte, probeLength))
		})
	}
}

func TestAMountOptionThatTheKernelRefusesIsSaid(t *testing.T) {
	m := newMachine(t, gib)
	err := m.stage(Ext4, "no_such_option")
	if err == nil || !strings.Contains(err.Error(), "no_such_option") {
		t.Errorf("error %v does not name the option", err)
	}
	m.must(m.stage(Ext4)) // corrected
}

func TestReadOnlyStagingWritesNothing(t *testing.T) {
	m := newMachine(t, gib)
	m.must(m.stage(Ext4))
	m.must(m.Unstage(t.Context(), volumeA, m.staging))
	spy := spyOn(m.Host)
	m.must(m.stage(Ext4, "ro"))
	if err := os.WriteFile(filepath.Join(m.staging, "file"), nil, 0o644); !errors.Is(err, unix.EROFS) {
		t.Errorf("write: %v, want EROFS", err)
	}
	if spy.count("e2fsck")+spy.count("resize2fs") != 0 {
		t.Errorf("ran %v", spy.ran)
	}
}

func TestStageWaitsForNoOtherDevice(t *testing.T) {
	m := newMachine(t, gib)
	err := m.Stage(t.Context(), StageRequest{VolumeID: volumeB, Path: m.staging, FSType: Ext4})
	if !errors.Is(err, ErrNoDevice) || !strings.Contains(err.Error(), volumeB) {
		t.Errorf("error %v, want ErrNoDevice with the volume", err)
	}
}

func TestStageRefusesAPathOrDeviceThatIsTaken(t *testing.T) {
	t.Run("another volume is mounted at the path", func(t *testing.T) {
		m, other := newMachine(t, gib), newMachine(t, gib)
		m.must(m.stage(Ext4))
		other.staging = m.staging
		if err := other.stage(Ext4); !errors.Is(err, ErrInUse) {
			t.Errorf("error %v, want ErrInUse", err)
		}
		m.must(m.stage(Ext4)) // the rightful owner is not disturbed
	})
	t.Run("a file system without a device is mounted at the path", func(t *testing.T) {
		m := newMachine(t, gib)
		m.must(os.MkdirAll(m.staging, 0o750))
		m.must(unix.Mount("none", m.staging, "tmpfs", 0, ""))
		if err := m.stage(Ext4); !errors.Is(err, ErrInUse) {
			t.Errorf("error %v, want ErrInUse", err)
		}
	})
	t.Run("the device is mounted at another path", func(t *testing.T) {
		m := newMachine(t, gib)
		m.must(m.stage(Ext4))
		at := m.staging
		m.staging = filepath.Join(filepath.Dir(at), "elsewhere")
		if err := m.stage(Ext4); !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), at) {
			t.Errorf("error %v, want ErrInUse with %s", err, at)
		}
		m.staging = at
	})
	t.Run("a program holds the device", func(t *testing.T) {
		m := newMachine(t, gib)
		fd, err := unix.Open(m.loop.Path, unix.O_RDONLY|unix.O_EXCL, 0)
		m.must(err)
		if err := m.stage(Ext4); !errors.Is(err, ErrInUse) {
			t.Errorf("error %v, want ErrInUse", err)
		}
		m.must(unix.Close(fd))
		m.must(m.stage(Ext4))
	})
	t.Run("a relative path", func(t *testing.T) {
		m := newMachine(t, gib)
		m.staging = "globalmount"
		if err := m.stage(Ext4); !errors.Is(err, ErrInvalid) {
			t.Errorf("error %v, want ErrInvalid", err)
		}
		m.staging = "/nowhere"
	})
}

func TestWhatALostDeviceLeftMountedIsReplaced(t *testing.T) {
	m, lost := newMachine(t, gib), newMachine(t, gib)
	lost.staging = m.staging
	m.must(lost.stage(Ext4))
	m.must(lost.publish(func(r *PublishRequest) { r.TargetPath = m.target }))
	// A sysfs that knows this machine's disk, and the lost one no more.
	m.sysDir = t.TempDir()
	m.must(os.Mkdir(filepath.Join(m.sysDir, "block"), 0o755))
	name := filepath.Base(m.loop.Path)
	m.must(os.Symlink("/sys/block/"+name, filepath.Join(m.sysDir, "block", name)))
	number, err := deviceNumber(m.loop.Path)
	m.must(err)
	m.must(os.MkdirAll(filepath.Join(m.sysDir, "dev", "block", number.String()), 0o755))

	m.must(m.stage(Ext4))
	m.write(m.staging, "new")
	m.must(m.publish(nil))
	if got := m.read(m.target); got != "new" {
		t.Errorf("read %q", got)
	}
}

func TestManyVolumesAreStagedAtOnce(t *testing.T) {
	m := newMachine(t, gib)
	var all errgroup.Group
	for n := range 8 {
		id := fmt.Sprintf("%08d-4c1e-4d5b-9f1a-2b6c7d8e9f00", n)
		m.must(disktest.New(t, gib).Link(m.devDir, id))
		path := filepath.Join(filepath.Dir(m.staging), id)
		t.Cleanup(func() { m.must(m.Unstage(context.WithoutCancel(t.Context()), id, path)) })
		all.Go(func() error {
			if err := m.Stage(t.Context(), StageRequest{VolumeID: id, Path: path, FSType: []string{Ext4, XFS}[n%2]}); err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(path, "id"), []byte(id), 0o644)
		})
	}
	m.must(all.Wait())
	table, err := readMounts()
	m.must(err)
	devices := map[devNumber]bool{}
	for _, p := range table {
		if strings.HasPrefix(p.path, filepath.Dir(m.staging)+"/0000") {
			devices[p.device] = true
		}
	}
	if len(devices) != 8 {
		t.Errorf("%d devices are mounted, want 8", len(devices))
	}
}

func TestUnstageWritesOutWhatWasWritten(t *testing.T) {
	m := newMachine(t, gib)
	m.must(m.stage(XFS))
	m.write(m.staging, "written a moment ago")
	m.must(m.Unstage(t.Context(), volumeA, m.staging))
	if inUse, err := claimed(m.loop.Path); err != nil || inUse {
		t.Errorf("device in use: %v, %v", inUse, err)
	}
	m.must(m.stage(XFS))
	if got := m.read(m.staging); got != "written a moment ago" {
		t.Errorf("read %q", got)
	}
}

func TestUnstageRefusesWhileTheVolumeIsUsed(t *testing.T) {
	t.Run("published", func(t *testing.T) {
		m := newMachine(t, gib)
		m.must(m.stage(Ext4))
		m.must(m.publish(nil))
		err := m.Unstage(t.Context(), volumeA, m.staging)
		if !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), m.target) {
			t.Errorf("error %v, want ErrInUse with %s", err, m.target)
		}
		m.must(m.Unpublish(t.Context(), volumeA, m.target))
		m.must(m.Unstage(t.Context(), volumeA, m.staging))
	})
	t.Run("a process has a file open", func(t *testing.T) {
		m := newMachine(t, gib)
		m.must(m.stage(Ext4))
		f, err := os.Create(filepath.Join(m.staging, "file"))
		m.must(err)
		if err := m.Unstage(t.Context(), volumeA, m.staging); !errors.Is(err, ErrInUse) {
			t.Errorf("error %v, want ErrInUse", err)
		}
		m.must(f.Close())
		m.must(m.Unstage(t.Context(), volumeA, m.staging))
	})
	t.Run("mounted in another mount namespace, also when asked again", func(t *testing.T) {
		m := newMachine(t, gib)
		m.must(m.stage(Ext4))
		// Another container copied the mount table while the volume was staged: it keeps the file system mounted.
		holder := exec.Command("unshare", "--mount", "--propagation", "private", "sh", "-c", "echo ready; read wait")
		in, err := holder.StdinPipe()
		m.must(err)
		out, err := holder.StdoutPipe()
		m.must(err)
		m.must(holder.Start())
		_, err = out.Read(make([]byte, 6))
		m.must(err)
		for range 2 {
			if err := m.Unstage(t.Context(), volumeA, m.staging); !errors.Is(err, ErrInUse) {
				t.Errorf("error %v, want ErrInUse", err)
			}
		}
		m.must(in.Close())
		_ = holder.Wait() // sh's read fails at the end of its input
		m.must(m.Unstage(t.Context(), volumeA, m.staging))
	})
}

func TestUnstageSucceedsWhenThereIsNothingLeft(t *testing.T) {
	t.Run("the path never existed", func(t *testing.T) {
		m := newMachine(t, gib)
		m.must(m.Unstage(t.Context(), volumeA, filepath.Join(m.staging, "deeper")))
	})
	t.Run("the device was taken away after staging", func(t *testing.T) {
		m := newMachine(t, gib)
		m.must(m.stage(XFS))
		m.write(m.staging, "lost")
		m.must(os.RemoveAll(filepath.Join(m.devDir, "disk")))
		m.must(m.loop.Close()) // the kernel lets it go when the last user does
		m.must(m.Unstage(t.Context(), volumeA, m.staging))
	})
}

func TestADeviceThatDiedUnderItsMountCanBeUnpublishedAndUnstaged(t *testing.T) {
	m := newMachine(t, gib)
	m.must(m.stage(XFS))
	m.must(m.publish(nil))
	m.write(m.target, "lost")
	const goingDownWithoutLog = 2 // XFS_FSOP_GOING_FLAGS_NOLOGFLUSH: as when the disk is gone
	f, err := os.Open(m.staging)
	m.must(err)
	m.must(unix.IoctlSetPointerInt(int(f.Fd()), 0x8004587d, goingDownWithoutLog)) // XFS_IOC_GOINGDOWN
	m.must(f.Close())
	if _, err := os.Stat(filepath.Join(m.target, "file")); err == nil {
		t.Log("the file system still answers from its cache")
	}
	m.must(m.Unpublish(t.Context(), volumeA, m.target))
	m.must(m.Unstage(t.Context(), volumeA, m.staging))
	m.must(m.stage(XFS)) // the log is replayed by mounting
}

func TestStageFollowsASymbolicLinkToTheKubeletsDirectory(t *testing.T) {
	m := newMachine(t, gib)
	dir := filepath.Dir(m.staging)
	real := m.staging
	m.must(os.Symlink(dir, filepath.Join(dir, "kubelet")))
	m.staging = filepath.Join(dir, "kubelet", filepath.Base(real))
	m.must(m.stage(Ext4))
	m.must(m.stage(Ext4))
	table, err := readMounts()
	m.must(err)
	if n := len(slices.DeleteFunc(table, func(p mountPoint) bool { return p.path != real })); n != 1 {
		t.Errorf("mounted %d times", n)
	}
	m.must(m.Unstage(t.Context(), volumeA, m.staging))
	m.staging = real
}

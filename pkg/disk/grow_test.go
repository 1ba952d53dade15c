package disk

import (
	"errors"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestAMountedFileSystemGrowsWithItsDisk(t *testing.T) {
	for _, fsType := range []string{Ext4, XFS} {
		t.Run(fsType, func(t *testing.T) {
			if fsType == Ext4 && !hasCapability(t, unix.CAP_SYS_RESOURCE) {
				t.Skip("this machine lacks CAP_SYS_RESOURCE, without which the kernel refuses to grow a mounted ext4")
			}
			m := newMachine(t, gib)
			m.must(m.stage(fsType))
			m.must(m.publish(nil))
			m.write(m.target, "stays")
			m.must(m.loop.Resize(2 * gib))
			for range 2 { // growing again is a success
				size, err := m.Grow(t.Context(), volumeA, m.target, 2*gib)
				m.must(err)
				if size != 2*gib {
					t.Errorf("size %d, want 2 GiB", size)
				}
			}
			if got := fsSizeAt(t, m.target); got < 19*gib/10 {
				t.Errorf("the file system has %d bytes", got)
			}
			if got := m.read(m.staging); got != "stays" {
				t.Errorf("read %q", got)
			}
		})
	}
}

func TestGrowingAMountedExt4WithoutThePrivilegeSaysSo(t *testing.T) {
	if hasCapability(t, unix.CAP_SYS_RESOURCE) {
		t.Skip("this machine has CAP_SYS_RESOURCE: see TestAMountedFileSystemGrowsWithItsDisk")
	}
	m := newMachine(t, gib)
	m.must(m.stage(Ext4))
	m.must(m.loop.Resize(2 * gib))
	_, err := m.Grow(t.Context(), volumeA, m.staging, 2*gib)
	if err == nil || !strings.Contains(err.Error(), volumeA) || !strings.Contains(err.Error(), "resize2fs") {
		t.Fatalf("error %v", err)
	}
	// The way out: the next stage grows it while it is not mounted.
	m.must(m.Unstage(t.Context(), volumeA, m.staging))
	m.must(m.stage(Ext4))
	if got := fsSizeAt(t, m.staging); got < 19*gib/10 {
		t.Errorf("the file system has %d bytes", got)
	}
}

func TestAFileSystemSmallerThanItsDiskGrowsWhenStaged(t *testing.T) {
	for _, fsType := range []string{Ext4, XFS} {
		t.Run(fsType, func(t *testing.T) {
			m := newMachine(t, gib)
			m.must(m.stage(fsType))
			m.write(m.staging, "restored from a snapshot")
			m.must(m.Unstage(t.Context(), volumeA, m.staging))
			m.must(m.loop.Resize(3 * gib))
			m.must(m.stage(fsType))
			if got := fsSizeAt(t, m.staging); got < 29*gib/10 {
				t.Errorf("the file system has %d bytes", got)
			}
			if got := m.read(m.staging); got != "restored from a snapshot" {
				t.Errorf("read %q", got)
			}
			m.must(m.Unstage(t.Context(), volumeA, m.staging))
			spy := spyOn(m.Host)
			m.must(m.stage(fsType))
			if n := spy.count("resize2fs") + spy.count("xfs_growfs"); n != 0 {
				t.Errorf("a file system of the disk's size was grown: %v", spy.ran)
			}
		})
	}
}

func TestAFailedGrowthLeavesTheVolumeUnstaged(t *testing.T) {
	m := newMachine(t, gib)
	m.must(m.stage(XFS))
	m.must(m.Unstage(t.Context(), volumeA, m.staging))
	m.must(m.loop.Resize(2 * gib))
	spy := spyOn(m.Host)
	spy.replaced["xfs_growfs"] = []string{"false"}
	if err := m.stage(XFS); err == nil {
		t.Fatal("want an error")
	}
	delete(spy.replaced, "xfs_growfs")
	m.must(m.stage(XFS))
	if got := fsSizeAt(t, m.staging); got < 19*gib/10 {
		t.Errorf("the file system has %d bytes", got)
	}
}

func TestGrowRefusesWhatItCannotDo(t *testing.T) {
	m := newMachine(t, gib)
	if _, err := m.Grow(t.Context(), volumeA, m.staging, gib); !errors.Is(err, ErrNotMounted) {
		t.Errorf("nothing mounted: error %v, want ErrNotMounted", err)
	}
	m.must(m.stage(XFS))
	if _, err := m.Grow(t.Context(), volumeA, m.staging, 2*gib); !errors.Is(err, ErrTooSmall) {
		t.Errorf("the disk has not grown: error %v, want ErrTooSmall", err)
	}
	other := newMachine(t, gib)
	m.must(other.stage(XFS))
	if _, err := m.Grow(t.Context(), volumeA, other.staging, 0); !errors.Is(err, ErrNotMounted) {
		t.Errorf("another volume is mounted there: error %v, want ErrNotMounted", err)
	}
}

func TestNeedsGrowToleratesWhatAFileSystemCannotUse(t *testing.T) {
	for _, tc := range []struct {
		name     string
		fs, disk int64
		want     bool
	}{
		{"the same size", gib, gib, false},
		{"a remainder too small for a group", gib - 2*mib, gib, false},
		{"one GiB more", gib, 2 * gib, true},
		{"just the slack", gib - growSlack, gib, true},
		{"an unknown size", 0, gib, false},
		{"larger than the disk", 2 * gib, gib, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := needsGrow(tc.fs, tc.disk); got != tc.want {
				t.Errorf("got %v", got)
			}
		})
	}
}

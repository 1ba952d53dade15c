package disk

import (
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestADiskThatHoldsAnythingIsNeverFormatted(t *testing.T) {
	for _, tc := range []struct {
		name, want, says string
		prepare          func(m *machine)
	}{
		{"the other file system", Ext4, "set fsType to xfs", func(m *machine) { m.tool("mkfs.xfs", "-q", m.loop.Path) }},
		{"the other file system, reversed", XFS, "set fsType to ext4", func(m *machine) { m.tool("mkfs.ext4", "-q", m.loop.Path) }},
		{"a file system that we do not mount", Ext4, "ext2", func(m *machine) { m.tool("mkfs.ext2", "-q", m.loop.Path) }},
		{"swap", Ext4, "swap", func(m *machine) { m.tool("mkswap", m.loop.Path) }},
		{"a partition table", XFS, "dos partition table", func(m *machine) {
			m.poke(446, []byte{0, 0, 0, 0, 0x83, 0, 0, 0, 0, 8, 0, 0, 0, 8, 0, 0}) // one, of 1 MiB, at 1 MiB
			m.poke(510, []byte{0x55, 0xaa})
		}},
		{"raw data at its start", Ext4, "blkdiscard", func(m *machine) { m.poke(0, []byte("raw data")) }},
		{"raw data within the first MiB", XFS, "blkdiscard", func(m *machine) { m.poke(mib-8, []byte("raw data")) }},
		{"a RAID member's signature at its end", Ext4, "linux_raid_member", func(m *machine) {
			super := make([]byte, 256) // version 1.0: at the end, 8 KiB back
			binary.LittleEndian.PutUint32(super, 0xa92b4efc)
			binary.LittleEndian.PutUint32(super[4:], 1)
			binary.LittleEndian.PutUint64(super[128+16:], uint64(gib/512-16)) // super_offset
			m.poke(gib-8192, super)
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := newMachine(t, gib)
			tc.prepare(m)
			before := m.start()
			err := m.stage(tc.want)
			if !errors.Is(err, ErrForeignData) || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("error %v, want ErrForeignData that says %q", err, tc.says)
			}
			m.mustNotChange(before)
		})
	}
}

func TestAnInterruptedFormatIsDoneAgain(t *testing.T) {
	for _, tc := range []struct {
		name, fsType string
		// die is what the disk looks like after the kill, given what mkfs would have made.
		die func(m *machine)
	}{
		{"ext4, killed before its superblock was written", Ext4, func(m *machine) {
			m.tool("mkfs.ext4", "-q", "-F", m.loop.Path)
			m.poke(0, make([]byte, 4096))
		}},
		{"ext4, killed before anything was written", Ext4, func(*machine) {}},
		{"xfs, killed while its superblock says in progress", XFS, func(m *machine) {
			m.tool("mkfs.xfs", "-q", m.loop.Path)
			m.poke(xfsInProgressAt, []byte{1})
		}},
		{"xfs, only the other headers of the first group were written", XFS, func(m *machine) {
			m.tool("mkfs.xfs", "-q", m.loop.Path)
			m.poke(0, make([]byte, 512))
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := newMachine(t, gib)
			spy := spyOn(m.Host)
			spy.instead["mkfs."+tc.fsType] = func(args []string) error {
				if args[len(args)-1] == linkTarget(t, m) {
					tc.die(m)
				}
				return errors.New("killed")
			}
			if err := m.stage(tc.fsType); err == nil {
				t.Fatal("the format should have been interrupted")
			}
			m.Host = m.successor()
			m.must(m.stage(tc.fsType))
			m.write(m.staging, "works")
			m.must(m.Unstage(t.Context(), volumeA, m.staging))
			if left, _ := os.ReadDir(m.stateDir + "/formatting"); len(left) != 0 {
				t.Errorf("records left: %v", left)
			}
		})
	}
}

func linkTarget(t *testing.T, m *machine) string {
	t.Helper()
	dev, err := m.Find(volumeA)
	m.must(err)
	return dev.Path
}

func TestAMachineThatDidNotBeginTheFormatDoesNotRepeatIt(t *testing.T) {
	m := newMachine(t, gib)
	m.tool("mkfs.ext4", "-q", "-F", m.loop.Path)
	m.poke(0, make([]byte, 4096))
	before := m.start()
	if err := m.stage(Ext4); !errors.Is(err, ErrForeignData) {
		t.Errorf("error %v, want ErrForeignData", err)
	}
	m.mustNotChange(before)
}

// Elsewhere the format may be completed and data be written: when the volume comes back with a lost superblock, the old
// record must not call it our own half-done work.
func TestARecordOfAFormatDoesNotOutliveTheVolumesStay(t *testing.T) {
	for name, leave := range map[string]func(m *machine){
		"it was unstaged": func(m *machine) { m.must(m.Unstage(t.Context(), volumeA, m.staging)) },
		"it was detached while the machine was down": func(m *machine) {
			link := filepath.Join(m.byIDDir(), "virtio-"+truncated(volumeA))
			target, err := os.Readlink(link)
			m.must(err)
			m.must(os.Remove(link))
			m.Host = m.successor()
			m.must(m.ForgetFormats(t.Context()))
			m.must(os.Symlink(target, link))
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t, gib)
			m.must(m.beginFormat(volumeA)) // killed during the format
			m.Host = m.successor()
			m.must(m.ForgetFormats(t.Context())) // the disk is there: the format may be done again
			if begun, err := m.formatBegun(volumeA); !begun || err != nil {
				t.Fatalf("the record is gone too early: %v", err)
			}
			leave(m)
			m.tool("mkfs.ext4", "-q", "-F", m.loop.Path)
			m.poke(0, make([]byte, 4096))
			before := m.start()
			if err := m.stage(Ext4); !errors.Is(err, ErrForeignData) {
				t.Errorf("error %v, want ErrForeignData", err)
			}
			m.mustNotChange(before)
		})
	}
}

func TestAProcessKilledBetweenFormatAndMountLosesNothing(t *testing.T) {
	m := newMachine(t, gib)
	dev, err := m.Find(volumeA)
	m.must(err)
	m.must(m.beginFormat(volumeA))
	m.must(m.makeFileSystem(t.Context(), dev.Path, Ext4, false)) // killed here: the record is still there
	id := m.tool("blkid", "-p", "-s", "UUID", "-o", "value", dev.Path)
	m.Host = m.successor()
	m.must(m.stage(Ext4))
	if got := m.tool("blkid", "-p", "-s", "UUID", "-o", "value", dev.Path); got != id {
		t.Error("a complete file system was formatted again")
	}
	m.must(m.Unstage(t.Context(), volumeA, m.staging))
	// From now on the record is gone, so that losing the superblock is not mistaken for an interrupted format.
	m.poke(0, make([]byte, 4096))
	if err := m.stage(Ext4); !errors.Is(err, ErrForeignData) {
		t.Errorf("error %v, want ErrForeignData", err)
	}
}

func TestAFormatWithoutAPlaceForItsRecordIsRefused(t *testing.T) {
	m := newMachine(t, gib)
	m.stateDir = ""
	if err := m.stage(Ext4); !errors.Is(err, ErrInvalid) {
		t.Errorf("error %v, want ErrInvalid", err)
	}
	m.mustNotChange(make([]byte, probeLength))
}

func TestADamagedFileSystemIsLeftToAPerson(t *testing.T) {
	m := newMachine(t, gib)
	m.must(m.stage(Ext4))
	m.must(m.Unstage(t.Context(), volumeA, m.staging))
	m.tool("debugfs", "-w", "-R", "clri <2>", m.loop.Path) // the root directory
	m.tool("debugfs", "-w", "-R", "ssv state 2", m.loop.Path)
	err := m.stage(Ext4)
	if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "by hand") {
		t.Errorf("error %v, want ErrDamaged", err)
	}
}

func TestSmallDamageIsRepairedBeforeMounting(t *testing.T) {
	m := newMachine(t, gib)
	m.must(m.stage(Ext4))
	m.must(m.Unstage(t.Context(), volumeA, m.staging))
	m.tool("debugfs", "-w", "-R", "ssv free_blocks_count 17", m.loop.Path)
	m.tool("debugfs", "-w", "-R", "ssv state 2", m.loop.Path) // "has errors": the check is a full one
	m.must(m.stage(Ext4))
	s, err := m.Stats(volumeA, m.staging)
	m.must(err)
	if s.Bytes.Available < gib/2 {
		t.Errorf("only %d bytes available", s.Bytes.Available)
	}
}

func TestAJournalIsReplayedAfterAPowerCut(t *testing.T) {
	for _, fsType := range []string{Ext4, XFS} {
		t.Run(fsType, func(t *testing.T) {
			m := newMachine(t, gib)
			m.must(m.stage(fsType))
			m.write(m.staging, "committed")
			m.must(syncFS(m.staging))
			// What the disk holds at this moment is what a power cut would leave.
			after := newMachine(t, gib)
			m.tool("cp", "--sparse=always", m.loop.File, after.loop.File)
			after.must(after.loop.Resize(gib))
			after.must(after.stage(fsType)) // for xfs also: the same UUID is mounted beside it
			if got := after.read(after.staging); got != "committed" {
				t.Errorf("read %q", got)
			}
		})
	}
}

func TestXFSIsMadeWithFeaturesThatThisKernelMounts(t *testing.T) {
	t.Run("the defaults work here", func(t *testing.T) {
		m := newMachine(t, gib)
		spy := spyOn(m.Host)
		for range 2 {
			options, err := m.xfsOptions(t.Context())
			m.must(err)
			if len(options) != 0 {
				t.Errorf("options %v, want the defaults", options)
			}
		}
		if n := spy.count("mkfs.xfs"); n != 1 {
			t.Errorf("tried %d times, want once", n)
		}
		if left, err := os.ReadDir(m.stateDir); err != nil || len(left) != 0 {
			t.Errorf("left behind: %v, %v", left, err)
		}
	})
	t.Run("an older kernel refuses the newer features", func(t *testing.T) {
		m := newMachine(t, gib)
		spy := spyOn(m.Host)
		old := func(args []string) error { // mounts only what has bigtime=0
			path := args[len(args)-1]
			if out, err := exec.Command("mkfs.xfs", args...).CombinedOutput(); err != nil {
				t.Logf("mkfs.xfs refuses %v: %s", args, out)
				return err
			}
			if !slices.ContainsFunc(args, func(a string) bool { return strings.Contains(a, "bigtime=0") }) {
				return os.Truncate(path, 0) // so that it cannot be mounted
			}
			return nil
		}
		spy.instead["mkfs.xfs"] = old
		options, err := m.xfsOptions(t.Context())
		m.must(err)
		if len(options) < 2 || !strings.Contains(options[1], "bigtime=0") {
			t.Errorf("options %v", options)
		}
		delete(spy.instead, "mkfs.xfs")
		m.must(m.stage(XFS))
		if !slices.ContainsFunc(spy.ran, func(r string) bool {
			return strings.HasPrefix(r, "mkfs.xfs -K -m bigtime=0") && strings.HasSuffix(r, linkTarget(t, m))
		}) {
			t.Errorf("the disk was not formatted with these: %v", spy.ran)
		}
	})
	t.Run("a probe that cannot be tried is tried again, and forbids nothing", func(t *testing.T) {
		m := newMachine(t, gib)
		spy := spyOn(m.Host)
		spy.instead["mkfs.xfs"] = func([]string) error { return errors.New("cannot") }
		options, err := m.xfsOptions(t.Context())
		m.must(err)
		if options != nil || m.xfs.known {
			t.Errorf("options %v, known %v", options, m.xfs.known)
		}
	})
}

func TestClassifyTellsWhatADiskHolds(t *testing.T) {
	ext4 := make([]byte, probeLength)
	binary.LittleEndian.PutUint16(ext4[extMagicAt:], extMagic)
	binary.LittleEndian.PutUint32(ext4[extBlocksLowAt:], 1)
	binary.LittleEndian.PutUint32(ext4[extBlocksHighAt:], 1)
	binary.LittleEndian.PutUint32(ext4[extIncompatAt:], extIncompat64Bit)
	binary.LittleEndian.PutUint32(ext4[extLogBlockSizeAt:], 2)
	small := slices.Clone(ext4)
	binary.LittleEndian.PutUint32(small[extIncompatAt:], 0)
	insane := slices.Clone(ext4)
	binary.LittleEndian.PutUint32(insane[extLogBlockSizeAt:], 60)
	xfs := make([]byte, probeLength)
	copy(xfs, xfsMagic)
	binary.BigEndian.PutUint32(xfs[xfsBlockSizeAt:], 4096)
	binary.BigEndian.PutUint64(xfs[xfsBlocksAt:], 262144)
	unfinished := slices.Clone(xfs)
	unfinished[xfsInProgressAt] = 1
	last := make([]byte, probeLength)
	last[probeLength-1] = 1
	type tags = map[string]string
	for _, tc := range []struct {
		name  string
		tags  tags
		start []byte
		want  content
	}{
		{"zeros and no signature: empty", nil, make([]byte, probeLength), content{kind: contentEmpty}},
		{"one bit in the first MiB: not empty", nil, last, content{kind: contentUnknown, what: "data without a known signature"}},
		{"a signature at the end and zeros at the start: not empty", tags{"TYPE": "linux_raid_member"}, make([]byte, probeLength), content{kind: contentOther, what: "linux_raid_member"}},
		{"partitions", tags{"PTTYPE": "gpt"}, last, content{kind: contentOther, what: "gpt partition table"}},
		{"partitions count more than what lies in the first", tags{"PTTYPE": "dos", "TYPE": "ext4"}, ext4, content{kind: contentOther, what: "dos partition table"}},
		{"ext4 beyond 16 TiB", tags{"TYPE": "ext4"}, ext4, content{contentFileSystem, Ext4, (1<<32 + 1) * 4096}},
		{"ext4 without 64-bit block numbers", tags{"TYPE": "ext4"}, small, content{contentFileSystem, Ext4, 4096}},
		{"ext4 with a block size that cannot be", tags{"TYPE": "ext4"}, insane, content{contentFileSystem, Ext4, 0}},
		{"xfs", tags{"TYPE": "xfs"}, xfs, content{contentFileSystem, XFS, gib}},
		{"xfs whose mkfs did not end, whatever blkid thinks of it", tags{"TYPE": "xfs"}, unfinished, content{kind: contentUnfinished, what: XFS}},
		{"a disk shorter than a superblock", tags{"TYPE": "ext4"}, ext4[:512], content{contentFileSystem, Ext4, 0}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, classify(tc.tags, tc.start), cmp.AllowUnexported(content{})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestTheSizeInARealSuperblockIsUnderstood(t *testing.T) {
	for _, fsType := range []string{Ext4, XFS} {
		m := newMachine(t, gib)
		m.tool("mkfs."+fsType, "-q", m.loop.Path)
		c, err := m.probe(t.Context(), m.loop.Path)
		m.must(err)
		if want := (content{contentFileSystem, fsType, gib}); c != want {
			t.Errorf("probe %+v, want %+v", c, want)
		}
	}
}

func FuzzClassifyNeverCallsDataEmpty(f *testing.F) {
	f.Add("TYPE=ext4\n", []byte("XFSB"))
	f.Add("PTTYPE=gpt\nTYPE=", make([]byte, 4096))
	f.Fuzz(func(t *testing.T, out string, start []byte) {
		c := classify(parseExport(out), start)
		if c.kind == contentEmpty && strings.Trim(string(start), "\x00") != "" {
			t.Errorf("%q with %q is called empty", out, start)
		}
	})
}

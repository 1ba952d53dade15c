package disk

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestPublishShowsTheStagedVolumeUntilItIsUnpublished(t *testing.T) {
	m := newMachine(t, gib)
	m.must(m.stage(Ext4))
	m.write(m.staging, "hello")
	for range 2 {
		m.must(m.publish(nil))
	}
	if got := m.read(m.target); got != "hello" {
		t.Errorf("read %q", got)
	}
	table, err := readMounts()
	m.must(err)
	if n := len(table.wholeMounts(table.deviceAt(t, m.staging), m.staging)); n != 1 {
		t.Errorf("published %d times, want once", n)
	}
	for range 2 {
		m.must(m.Unpublish(t.Context(), volumeA, m.target))
	}
	if _, err := os.Stat(m.target); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the target path is still there: %v", err)
	}
	if got := m.read(m.staging); got != "hello" {
		t.Errorf("the staged volume changed: %q", got)
	}
}

func (t mountTable) deviceAt(tb testing.TB, path string) devNumber {
	tb.Helper()
	m, ok := t.at(path)
	if !ok {
		tb.Fatalf("nothing is mounted at %s", path)
	}
	return m.device
}

func TestAReadOnlyPublicationCannotBeWrittenButTheOthersCan(t *testing.T) {
	m := newMachine(t, gib)
	m.must(m.stage(Ext4))
	m.must(m.publish(func(r *PublishRequest) { r.ReadOnly = true }))
	m.must(m.publish(func(r *PublishRequest) { r.TargetPath = m.target2 }))
	if err := os.WriteFile(filepath.Join(m.target, "file"), nil, 0o644); !errors.Is(err, unix.EROFS) {
		t.Errorf("write: %v, want EROFS", err)
	}
	m.write(m.target2, "yes")
	if got := m.read(m.target); got != "yes" {
		t.Errorf("read %q", got)
	}
}

func TestAPublicationInterruptedBeforeItBecameReadOnlyIsCorrected(t *testing.T) {
	m := newMachine(t, gib)
	m.must(m.stage(Ext4))
	m.must(os.MkdirAll(m.target, 0o750))
	m.must(unix.Mount(m.staging, m.target, "", unix.MS_BIND, "")) // mount(8) does it in two steps, too
	m.must(m.publish(func(r *PublishRequest) { r.ReadOnly = true }))
	if err := os.WriteFile(filepath.Join(m.target, "file"), nil, 0o644); !errors.Is(err, unix.EROFS) {
		t.Errorf("write: %v, want EROFS", err)
	}
}

func TestMountFlagsOfAPublicationAreThoseThatOneMountCanHave(t *testing.T) {
	m := newMachine(t, gib)
	m.must(m.stage(Ext4, "discard"))
	m.must(m.publish(func(r *PublishRequest) { r.MountFlags = []string{"discard", "noexec,nosuid"} }))
	if how := mountedHow(t, m.target); !strings.Contains(how, "noexec") || !strings.Contains(how, "nosuid") {
		t.Errorf("mounted with %s", how)
	}
	if how := mountedHow(t, m.staging); strings.Contains(how, "noexec") {
		t.Errorf("the staged mount has become %s", how)
	}
}

func TestAnExclusiveVolumeIsPublishedOnce(t *testing.T) {
	m := newMachine(t, gib)
	m.must(m.stage(Ext4))
	exclusive := func(r *PublishRequest) { r.Exclusive = true }
	m.must(m.publish(exclusive))
	m.must(m.publish(exclusive))
	// A subPath mount of the same pod is part of its publication.
	m.must(os.Mkdir(filepath.Join(m.target, "sub"), 0o755))
	sub := filepath.Join(filepath.Dir(m.staging), "elsewhere")
	m.must(os.Mkdir(sub, 0o755))
	m.must(unix.Mount(filepath.Join(m.target, "sub"), sub, "", unix.MS_BIND, ""))
	m.must(m.publish(exclusive))

	err := m.publish(func(r *PublishRequest) { r.Exclusive, r.TargetPath = true, m.target2 })
	if !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), m.target) {
		t.Errorf("error %v, want ErrInUse with %s", err, m.target)
	}
	m.must(m.publish(func(r *PublishRequest) { r.TargetPath = m.target2 })) // SINGLE_NODE_MULTI_WRITER
}

func TestPublishNeedsAStagedVolumeAndAFreeTarget(t *testing.T) {
	m := newMachine(t, gib)
	if err := m.publish(nil); !errors.Is(err, ErrNotStaged) {
		t.Errorf("error %v, want ErrNotStaged", err)
	}
	if _, err := os.Stat(m.target); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a refused request made the target path: %v", err)
	}
	m.must(m.stage(Ext4))
	other := newMachine(t, gib)
	m.must(other.stage(Ext4))
	m.must(other.publish(nil))
	err := m.publish(func(r *PublishRequest) { r.TargetPath = other.target })
	if !errors.Is(err, ErrInUse) {
		t.Errorf("error %v, want ErrInUse", err)
	}
	if err := m.publish(func(r *PublishRequest) { r.MountFlags = []string{"remount"} }); !errors.Is(err, ErrInvalid) {
		t.Errorf("error %v, want ErrInvalid", err)
	}
}

func TestADiskThatWasLostAfterItWasStagedIsNotPublished(t *testing.T) {
	m := newMachine(t, gib)
	m.must(m.stage(Ext4))
	m.sysDir = t.TempDir() // it knows no device
	if err := m.publish(nil); !errors.Is(err, ErrNotStaged) {
		t.Errorf("error %v, want ErrNotStaged", err)
	}
}

func TestUnpublishNeverDeletesFiles(t *testing.T) {
	m := newMachine(t, gib)
	m.must(os.MkdirAll(m.target, 0o750))
	m.write(m.target, "written while nothing was mounted")
	if err := m.Unpublish(t.Context(), volumeA, m.target); err == nil {
		t.Error("want an error")
	}
	if got := m.read(m.target); got == "" {
		t.Error("the file is gone")
	}
}

func TestUnpublishRemovesStackedMounts(t *testing.T) {
	m := newMachine(t, gib)
	m.must(m.stage(Ext4))
	m.must(m.publish(nil))
	m.must(unix.Mount(m.staging, m.target, "", unix.MS_BIND, ""))
	m.must(m.Unpublish(t.Context(), volumeA, m.target))
	m.must(m.Unstage(t.Context(), volumeA, m.staging))
}

func TestUnpublishWaitsForOpenFiles(t *testing.T) {
	m := newMachine(t, gib)
	m.must(m.stage(Ext4))
	m.must(m.publish(nil))
	f, err := os.Create(filepath.Join(m.target, "file"))
	m.must(err)
	if err := m.Unpublish(t.Context(), volumeA, m.target); !errors.Is(err, ErrInUse) {
		t.Errorf("error %v, want ErrInUse", err)
	}
	m.must(f.Close())
	m.must(m.Unpublish(t.Context(), volumeA, m.target))
}

func TestStatsTellOfTheVolumeAndNotOfTheNode(t *testing.T) {
	m := newMachine(t, gib)
	m.must(os.MkdirAll(m.staging, 0o750))
	for _, path := range []string{m.staging, "some/path", "/nowhere/at/all"} {
		if _, err := m.Stats(volumeA, path); !errors.Is(err, ErrNotMounted) {
			t.Errorf("%s: error %v, want ErrNotMounted", path, err)
		}
	}
	m.must(m.stage(Ext4))
	before, err := m.Stats(volumeA, m.staging)
	m.must(err)
	m.write(m.staging, strings.Repeat("x", int(8*mib)))
	m.must(syncFS(m.staging))
	after, err := m.Stats(volumeA, m.staging)
	m.must(err)
	if used := after.Bytes.Used - before.Bytes.Used; used < 8*mib || used > 9*mib {
		t.Errorf("8 MiB written, %d more used", used)
	}
	if used := after.Inodes.Used - before.Inodes.Used; used != 1 {
		t.Errorf("one file made, %d more inodes used", used)
	}
	// ext4 always keeps up to 4096 blocks back, for delayed allocations; -m0 leaves no other reserve.
	if b := after.Bytes; b.Total < gib*9/10 || b.Total > gib || b.Total-b.Used-b.Available > 16*mib {
		t.Errorf("%+v on a disk of 1 GiB without a reserve for root", b)
	}
}

func TestUnescapeUndoesTheMountTablesEscapes(t *testing.T) {
	for in, want := range map[string]string{
		`/plain`:            "/plain",
		`/a\040b\011c\012d`: "/a b\tc\nd",
		`/back\134slash`:    `/back\slash`,
		`/twice\134040`:     `/twice\040`,
		`/end\`:             `/end\`,
		`/no\999octal`:      `/no\999octal`,
	} {
		if got := unescape(in); got != want {
			t.Errorf("unescape(%q) = %q, want %q", in, got, want)
		}
	}
}

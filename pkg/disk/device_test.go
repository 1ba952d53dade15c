package disk

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const (
	volumeA = "8a3f1c52-4c1e-4d5b-9f1a-2b6c7d8e9f00"
	volumeB = "b0b1b2b3-4c1e-4d5b-9f1a-2b6c7d8e9f00"
)

// fixture is a machine as sysfs and udev show it: paths below dev and sys, "name -> target" for links.
type fixture map[string]string

// build makes the tree and returns the host that sees it. A "dev" entry with empty content is a device node's stand-in.
func (f fixture) build(t *testing.T) *Host {
	t.Helper()
	root := t.TempDir()
	for _, dir := range []string{"dev", "sys/block"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	f.addTo(t, root)
	return NewHost(Options{
		DevDir: filepath.Join(root, "dev"), SysDir: filepath.Join(root, "sys"),
		DeviceTimeout: 100 * time.Millisecond,
	})
}

func (f fixture) addTo(t *testing.T, root string) {
	t.Helper()
	for name, content := range f {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		if target, isLink := strings.CutPrefix(content, "-> "); isLink {
			err = os.Symlink(target, path)
		} else {
			err = os.WriteFile(path, []byte(content), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func root(h *Host) string { return filepath.Dir(h.devDir) }

func TestFindRecognisesADiskOnEveryBus(t *testing.T) {
	const oneGiB = "2097152\n"
	for _, tc := range []struct {
		name string
		have fixture
		want string // the device's name
		err  error
	}{
		{"virtio-blk by udev's link", fixture{
			"dev/vdb": "", "sys/block/vdb/size": oneGiB,
			"dev/disk/by-id/virtio-8a3f1c52-4c1e-4d5b-9": "-> ../../vdb",
		}, "vdb", nil},
		{"virtio-blk by its serial number, where no udev runs", fixture{
			"dev/vda": "", "sys/block/vda/size": oneGiB, "sys/block/vda/serial": "",
			"dev/vdb": "", "sys/block/vdb/size": oneGiB, "sys/block/vdb/serial": "8a3f1c52-4c1e-4d5b-9",
		}, "vdb", nil},
		{"virtio-blk by both at once is one device", fixture{
			"dev/vdb": "", "sys/block/vdb/size": oneGiB, "sys/block/vdb/serial": "8a3f1c52-4c1e-4d5b-9",
			"dev/disk/by-id/virtio-8a3f1c52-4c1e-4d5b-9": "-> ../../vdb",
		}, "vdb", nil},
		{"virtio-scsi by udev's link with the whole id", fixture{
			"dev/sdb": "", "sys/block/sdb/size": oneGiB,
			"dev/disk/by-id/scsi-0QEMU_QEMU_HARDDISK_" + volumeA: "-> ../../sdb",
		}, "sdb", nil},
		{"virtio-scsi by udev's link of newer sg3-utils and of by-path's twin", fixture{
			"dev/sdb": "", "sys/block/sdb/size": oneGiB,
			"dev/disk/by-id/scsi-SQEMU_QEMU_HARDDISK_" + volumeA:           "-> ../../sdb",
			"dev/disk/by-id/scsi-0QEMU_QEMU_HARDDISK_8a3f1c52-4c1e-4d5b-9": "-> ../../sdb",
		}, "sdb", nil},
		{"virtio-scsi by the unit serial number page", fixture{
			"dev/sdb": "", "sys/block/sdb/size": oneGiB,
			"sys/block/sdb/device/vpd_pg80": "\x00\x80\x00\x24" + volumeA,
		}, "sdb", nil},
		{"SCSI by udev's world wide name", fixture{
			"dev/sdc": "", "sys/block/sdc/size": oneGiB,
			"dev/disk/by-id/wwn-0x8a3f1c524c1e4d5b9f1a2b6c7d8e9f00": "-> ../../sdc",
		}, "sdc", nil},
		{"SCSI by sysfs's world wide id", fixture{
			"dev/sdc": "", "sys/block/sdc/size": oneGiB,
			"sys/block/sdc/device/wwid": "naa.8a3f1c524c1e4d5b9f1a2b6c7d8e9f00\n",
		}, "sdc", nil},
		{"SCSI by the vendor's world wide id", fixture{
			"dev/sdc": "", "sys/block/sdc/size": oneGiB,
			"sys/block/sdc/device/wwid": "t10.QEMU    QEMU HARDDISK   " + volumeA + "\n",
		}, "sdc", nil},
		{"NVMe by udev's link", fixture{
			"dev/nvme1n1": "", "sys/block/nvme1n1/size": oneGiB,
			"dev/disk/by-id/nvme-QEMU_NVMe_Ctrl_8a3f1c52-4c1e-4d5b-9":   "-> ../../nvme1n1",
			"dev/disk/by-id/nvme-QEMU_NVMe_Ctrl_8a3f1c52-4c1e-4d5b-9_1": "-> ../../nvme1n1",
		}, "nvme1n1", nil},
		{"NVMe by the namespace's UUID", fixture{
			"dev/nvme1n1": "", "sys/block/nvme1n1/size": oneGiB, "sys/block/nvme1n1/wwid": "uuid." + volumeA + "\n",
		}, "nvme1n1", nil},
		{"NVMe by the controller's serial number", fixture{
			"dev/nvme1n1": "", "sys/block/nvme1n1/size": oneGiB, "sys/block/nvme1n1/device/serial": "8a3f1c52-4c1e-4d5b-9\n",
		}, "nvme1n1", nil},
		{"a link is believed where the device has no serial number", fixture{
			"dev/loop4": "", "sys/block/loop4/size": oneGiB,
			"dev/disk/by-id/virtio-8a3f1c52-4c1e-4d5b-9": "-> ../../loop4",
		}, "loop4", nil},

		{"another volume's disk is not it", fixture{
			"dev/vdb": "", "sys/block/vdb/size": oneGiB, "sys/block/vdb/serial": "b0b1b2b3-4c1e-4d5b-9",
			"dev/disk/by-id/virtio-b0b1b2b3-4c1e-4d5b-9": "-> ../../vdb",
		}, "", ErrNoDevice},
		{"a link that udev has not yet removed, to a name that another disk has now", fixture{
			"dev/vdb": "", "sys/block/vdb/size": oneGiB, "sys/block/vdb/serial": "b0b1b2b3-4c1e-4d5b-9",
			"dev/disk/by-id/virtio-8a3f1c52-4c1e-4d5b-9": "-> ../../vdb",
		}, "", ErrNoDevice},
		{"a link to nothing", fixture{
			"dev/disk/by-id/virtio-8a3f1c52-4c1e-4d5b-9": "-> ../../vdb",
		}, "", ErrNoDevice},
		{"a link to a node whose device the kernel has removed", fixture{
			"dev/vdb": "", "dev/disk/by-id/virtio-8a3f1c52-4c1e-4d5b-9": "-> ../../vdb",
		}, "", ErrNoDevice},
		{"a serial number whose device node does not exist yet", fixture{
			"sys/block/vdb/size": oneGiB, "sys/block/vdb/serial": "8a3f1c52-4c1e-4d5b-9",
		}, "", ErrNoDevice},
		{"a partition is not the disk", fixture{
			"dev/vdb1": "", "dev/disk/by-id/virtio-8a3f1c52-4c1e-4d5b-9-part1": "-> ../../vdb1",
		}, "", ErrNoDevice},
		{"the directory of links does not exist", fixture{}, "", ErrNoDevice},

		{"two devices by two links", fixture{
			"dev/vdb": "", "sys/block/vdb/size": oneGiB, "dev/disk/by-id/virtio-8a3f1c52-4c1e-4d5b-9": "-> ../../vdb",
			"dev/sdb": "", "sys/block/sdb/size": oneGiB, "dev/disk/by-id/scsi-0QEMU_QEMU_HARDDISK_" + volumeA: "-> ../../sdb",
		}, "", ErrAmbiguous},
		{"two devices by a link and a serial number", fixture{
			"dev/loop4": "", "sys/block/loop4/size": oneGiB, "dev/disk/by-id/virtio-8a3f1c52-4c1e-4d5b-9": "-> ../../loop4",
			"dev/vdb": "", "sys/block/vdb/size": oneGiB, "sys/block/vdb/serial": "8a3f1c52-4c1e-4d5b-9",
		}, "", ErrAmbiguous},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := tc.have.build(t)
			dev, err := h.Find(volumeA)
			if !errors.Is(err, tc.err) {
				t.Fatalf("error %v, want %v", err, tc.err)
			}
			if tc.err != nil {
				if !strings.Contains(err.Error(), volumeA) {
					t.Errorf("error %q does not name the volume", err)
				}
				return
			}
			want := Device{Name: tc.want, Path: filepath.Join(h.devDir, tc.want), SizeBytes: 1 << 30}
			if dev != want {
				t.Errorf("found %+v, want %+v", dev, want)
			}
		})
	}
}

func TestFindRefusesAnEmptyVolumeID(t *testing.T) {
	if _, err := (fixture{}).build(t).Find(""); !errors.Is(err, ErrInvalid) {
		t.Errorf("error %v, want ErrInvalid", err)
	}
}

func TestUnitSerialSurvivesWrongPages(t *testing.T) {
	for name, tc := range map[string]struct{ page, want string }{
		"as the standard says":           {"\x00\x80\x00\x03abcXX", "abc"},
		"shorter than its length says":   {"\x00\x80\x00\x09abc", "abc"},
		"another page":                   {"\x00\x83\x00\x03abc", ""},
		"too short for its header":       {"\x00\x80", ""},
		"without a number":               {"\x00\x80\x00\x00", ""},
		"with a length above 255 bytes ": {"\x00\x80\x01\x00" + strings.Repeat("x", 256), strings.Repeat("x", 256)},
	} {
		t.Run(name, func(t *testing.T) {
			if got := string(unitSerial([]byte(tc.page))); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func TestAwaitSeesALinkThatComesLater(t *testing.T) {
	h := fixture{"dev/vdb": "", "sys/block/vdb/size": "2048"}.build(t)
	h.deviceTimeout = time.Minute
	got := make(chan error, 1)
	go func() {
		_, err := h.Await(t.Context(), volumeA, 0)
		got <- err
	}()
	// The directory itself appears in steps, as udev makes it with its first link.
	fixture{"dev/disk/by-id/virtio-8a3f1c52-4c1e-4d5b-9": "-> ../../vdb"}.addTo(t, root(h))
	if err := <-got; err != nil {
		t.Fatal(err)
	}
}

func TestAwaitSeesASerialNumberThatComesLaterWithoutAnyLink(t *testing.T) {
	h := fixture{"dev/vdb": "", "sys/block/vdb/size": "2048"}.build(t)
	h.deviceTimeout = time.Minute
	got := make(chan error, 1)
	go func() {
		_, err := h.Await(t.Context(), volumeA, 0)
		got <- err
	}()
	fixture{"sys/block/vdb/serial": volumeA[:20]}.addTo(t, root(h))
	if err := <-got; err != nil {
		t.Fatal(err)
	}
}

func TestAwaitEndsWithItsContextAndSaysWhatItSawLast(t *testing.T) {
	small := fixture{
		"dev/vdb": "", "sys/block/vdb/size": "2048", "sys/block/vdb/serial": volumeA[:20],
	}
	t.Run("no device", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := (fixture{}).build(t).Await(ctx, volumeA, 0); !errors.Is(err, ErrNoDevice) {
			t.Errorf("error %v, want ErrNoDevice", err)
		}
	})
	t.Run("too small", func(t *testing.T) {
		_, err := small.build(t).Await(t.Context(), volumeA, 2<<20)
		if !errors.Is(err, ErrTooSmall) {
			t.Errorf("error %v, want ErrTooSmall", err)
		}
	})
	t.Run("any size will do", func(t *testing.T) {
		if _, err := small.build(t).Await(t.Context(), volumeA, 0); err != nil {
			t.Error(err)
		}
	})
}

func TestAwaitAsksASCSIDiskForItsSize(t *testing.T) {
	h := fixture{
		"dev/sdb": "", "sys/block/sdb/size": "2048", "sys/block/sdb/device/vpd_pg80": "\x00\x80\x00\x24" + volumeA,
		"sys/block/sdb/device/rescan": "",
	}.build(t)
	if _, err := h.Await(t.Context(), volumeA, 2<<20); !errors.Is(err, ErrTooSmall) {
		t.Fatalf("error %v, want ErrTooSmall", err)
	}
	asked, err := os.ReadFile(filepath.Join(h.sysDir, "block/sdb/device/rescan"))
	if err != nil || string(asked) != "1" {
		t.Errorf("rescan holds %q (%v), want 1", asked, err)
	}
}

func FuzzALinkThatMatchesCarriesTheID(f *testing.F) {
	for _, link := range []string{"virtio-8a3f1c52-4c1e-4d5b-9", "nvme-x_1", "scsi-", "-", "wwn-0x", "nvme-uuid.", "dm-name-x"} {
		f.Add(link, volumeA)
	}
	f.Fuzz(func(t *testing.T, link, volumeID string) {
		if volumeID == "" || !linkMatches(link, volumeID) {
			return
		}
		lower := strings.ToLower(link)
		if !strings.Contains(link, truncated(volumeID)) &&
			!strings.Contains(lower, strings.ToLower(strings.ReplaceAll(volumeID, "-", ""))) {
			t.Errorf("%q taken for volume %q", link, volumeID)
		}
	})
}

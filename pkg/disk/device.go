package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Device is the block device of a volume on this machine.
type Device struct {
	Name      string // the kernel's name, "vdb"
	Path      string // "/dev/vdb"
	SizeBytes int64
}

// serialLength is how much of a volume id fits into the serial number of a virtio-blk or NVMe disk: 20 bytes in both
// standards. Of a UUID that is 68 bits.
const serialLength = 20

func truncated(volumeID string) string {
	return volumeID[:min(len(volumeID), serialLength)]
}

// Find returns the volume's device. It looks at udev's links and at the serial numbers in sysfs, for virtio-blk,
// virtio-scsi, SCSI and NVMe disks. ErrNoDevice when there is none, ErrAmbiguous when there are several.
func (h *Host) Find(volumeID string) (Device, error) {
	if volumeID == "" {
		return Device{}, fmt.Errorf("find device: %w: empty volume id", ErrInvalid)
	}
	found := map[string]Device{}
	if err := h.findByLink(volumeID, found); err != nil {
		return Device{}, err
	}
	if err := h.findBySerial(volumeID, found); err != nil {
		return Device{}, err
	}
	names := slices.Sorted(maps.Keys(found))
	switch len(names) {
	case 0:
		return Device{}, fmt.Errorf("volume %s: %w: nothing in %s and no serial number in %s matches",
			volumeID, ErrNoDevice, h.byIDDir(), filepath.Join(h.sysDir, "block"))
	case 1:
		return found[names[0]], nil
	}
	return Device{}, fmt.Errorf("volume %s: %w: %s", volumeID, ErrAmbiguous, strings.Join(names, ", "))
}

// findByLink adds the devices that udev's links call the volume.
func (h *Host) findByLink(volumeID string, found map[string]Device) error {
	entries, err := os.ReadDir(h.byIDDir())
	if errors.Is(err, fs.ErrNotExist) {
		return nil // udev makes the directory with its first link
	}
	if err != nil {
		return fmt.Errorf("find device of volume %s: %w", volumeID, err)
	}
	for _, e := range entries {
		if !linkMatches(e.Name(), volumeID) {
			continue
		}
		path, err := filepath.EvalSymlinks(filepath.Join(h.byIDDir(), e.Name()))
		if errors.Is(err, fs.ErrNotExist) {
			continue // the link outlived its device
		}
		if err != nil {
			return fmt.Errorf("find device of volume %s: %w", volumeID, err)
		}
		name := filepath.Base(path)
		// A link can be older than the device that has the name now: the serial number, where there is one, decides.
		if serials := h.serials(name); len(serials) > 0 && !anySerialMatches(serials, volumeID) {
			continue
		}
		dev, err := h.device(name, path)
		if errors.Is(err, fs.ErrNotExist) {
			continue // unplugged since
		}
		if err != nil {
			return err
		}
		found[name] = dev
	}
	return nil
}

// findBySerial adds the devices whose serial number is the volume's; it needs no udev.
func (h *Host) findBySerial(volumeID string, found map[string]Device) error {
	entries, err := os.ReadDir(filepath.Join(h.sysDir, "block"))
	if err != nil {
		return fmt.Errorf("find device of volume %s: %w", volumeID, err)
	}
	for _, e := range entries {
		if !anySerialMatches(h.serials(e.Name()), volumeID) {
			continue
		}
		path := filepath.Join(h.devDir, e.Name())
		if _, err := os.Stat(path); err != nil {
			continue // the kernel knows it, the device node is not there yet
		}
		dev, err := h.device(e.Name(), path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		found[e.Name()] = dev
	}
	return nil
}

// device reads what sysfs tells of a whole disk. A partition is fs.ErrNotExist: it is not in /sys/block.
func (h *Host) device(name, path string) (Device, error) {
	raw, err := os.ReadFile(filepath.Join(h.sysDir, "block", name, "size"))
	if err != nil {
		return Device{}, fmt.Errorf("size of device %s: %w", name, err)
	}
	sectors, err := strconv.ParseInt(strings.TrimSpace(string(raw)), 10, 64)
	if err != nil {
		return Device{}, fmt.Errorf("size of device %s: %w", name, err)
	}
	return Device{Name: name, Path: path, SizeBytes: sectors * 512}, nil // sysfs counts in 512 bytes, always
}

// serials returns what sysfs knows of a disk's identity: virtio-blk has serial, NVMe device/serial and wwid, SCSI the
// unit serial number page 0x80 and device/wwid.
func (h *Host) serials(name string) []string {
	var serials []string
	for _, file := range []string{"serial", "device/serial", "wwid", "device/wwid", "device/vpd_pg80"} {
		raw, err := os.ReadFile(filepath.Join(h.sysDir, "block", name, file))
		if err != nil {
			continue
		}
		if strings.HasSuffix(file, "vpd_pg80") {
			raw = unitSerial(raw)
		}
		if s := strings.Trim(string(raw), " \t\n\x00"); s != "" {
			serials = append(serials, s)
		}
	}
	return serials
}

// unitSerial takes the serial number out of SCSI's vital product data page 0x80: a 4-byte header with the length in
// bytes 2 and 3, then the number.
func unitSerial(page []byte) []byte {
	if len(page) < 4 || page[1] != 0x80 {
		return nil
	}
	length := int(page[2])<<8 | int(page[3])
	return page[4:min(len(page), 4+length)]
}

func anySerialMatches(serials []string, volumeID string) bool {
	return slices.ContainsFunc(serials, func(s string) bool { return serialMatches(s, volumeID) })
}

// serialMatches tells whether a serial number or world wide id is the volume's.
func serialMatches(serial, volumeID string) bool {
	if serial == volumeID || serial == truncated(volumeID) || serial == "uuid."+volumeID {
		return true
	}
	if hex, ok := strings.CutPrefix(serial, "naa."); ok {
		return strings.EqualFold(hex, strings.ReplaceAll(volumeID, "-", ""))
	}
	// "t10.QEMU    QEMU HARDDISK   <serial>": vendor, product, serial number.
	if strings.HasPrefix(serial, "t10.") {
		fields := strings.Fields(serial)
		last := fields[len(fields)-1]
		return last == volumeID || last == truncated(volumeID)
	}
	return false
}

var (
	partitionLink = regexp.MustCompile(`-part\d+$`)
	namespaceLink = regexp.MustCompile(`_\d+$`) // udev adds the NVMe namespace to a second link
)

// linkMatches tells whether a name below /dev/disk/by-id is one of those that udev gives to the volume's disk.
func linkMatches(link, volumeID string) bool {
	if partitionLink.MatchString(link) {
		return false
	}
	bus, rest, ok := strings.Cut(link, "-")
	if !ok {
		return false
	}
	switch bus {
	case "virtio": // virtio-<serial>
		return rest == volumeID || rest == truncated(volumeID)
	case "scsi": // scsi-0QEMU_QEMU_HARDDISK_<serial>, scsi-SQEMU_QEMU_HARDDISK_<serial>
		return endsWithSerial(rest, volumeID)
	case "wwn": // wwn-0x<the id's hexadecimal digits>
		return strings.EqualFold(rest, "0x"+strings.ReplaceAll(volumeID, "-", ""))
	case "nvme": // nvme-QEMU_NVMe_Ctrl_<serial>[_<namespace>], nvme-uuid.<id>
		return rest == "uuid."+volumeID || endsWithSerial(rest, volumeID) ||
			endsWithSerial(namespaceLink.ReplaceAllString(rest, ""), volumeID)
	}
	return false
}

func endsWithSerial(s, volumeID string) bool {
	return strings.HasSuffix(s, "_"+volumeID) || strings.HasSuffix(s, "_"+truncated(volumeID))
}

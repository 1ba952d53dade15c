// Package address puts the embedded cloud's virtual addresses (load balancers' VIPs, floating IPs) on devices of this
// machine, and takes away only what it put there.
package address

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Rule names the device for the addresses of a network.
type Rule struct {
	Network netip.Prefix
	Device  string
}

// Manager keeps the addresses of several owners. Its record file lets a process after this one, or Cleanup, take back
// what this one added, however it ended.
type Manager struct {
	rules []Rule
	path  string

	mu      sync.Mutex
	records map[netip.Addr]record
}

// record is one address that we use. It is written before the address is added and removed after that is gone.
type record struct {
	Device string   `json:"device"` // empty: the address was on this machine before us and stays
	Owners []string `json:"owners"`
}

// New reads the record file, if there is one. The most specific rule holds for an address.
func New(rules []Rule, recordFile string) (*Manager, error) {
	m := &Manager{rules: slices.Clone(rules), path: recordFile, records: map[netip.Addr]record{}}
	slices.SortStableFunc(m.rules, func(a, b Rule) int { return b.Network.Bits() - a.Network.Bits() })
	content, err := os.ReadFile(recordFile)
	if errors.Is(err, fs.ErrNotExist) {
		return m, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the address records: %w", err)
	}
	if err := json.Unmarshal(content, &m.records); err != nil {
		return nil, fmt.Errorf("read the address records %s: %w", recordFile, err)
	}
	return m, nil
}

// Set makes the addresses that owner needs exactly these. An address goes from the machine when its last owner leaves
// it. Loopback addresses are always there and need nothing. Idempotent; after an error call it again.
func (m *Manager) Set(ctx context.Context, owner string, addresses []netip.Addr) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	var failed []error
	wanted := map[netip.Addr]bool{}
	for _, a := range addresses {
		if a = a.Unmap(); !a.IsLoopback() && !wanted[a] {
			wanted[a] = true
			failed = append(failed, m.claim(owner, a))
		}
	}
	for a, r := range m.records {
		if slices.Contains(r.Owners, owner) && !wanted[a] {
			failed = append(failed, m.leave(owner, a))
		}
	}
	return errors.Join(append(failed, ctx.Err())...)
}

// Cleanup takes all recorded addresses from the machine.
func (m *Manager) Cleanup(context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	var failed []error
	for a := range m.records {
		failed = append(failed, m.drop(a))
	}
	return errors.Join(failed...)
}

// claim makes sure that the address is there and recorded for owner.
func (m *Manager) claim(owner string, a netip.Addr) error {
	r, known := m.records[a]
	if !known {
		device, err := m.deviceOf(a)
		if err != nil {
			return err
		}
		local, err := isLocal(a)
		if err != nil {
			return err
		}
		if !local {
			r.Device = device
		}
	}
	if !slices.Contains(r.Owners, owner) {
		r.Owners = append(slices.Clone(r.Owners), owner)
		if err := m.save(a, &r); err != nil {
			return err
		}
	}
	if r.Device == "" {
		return nil
	}
	return add(r.Device, a)
}

func (m *Manager) leave(owner string, a netip.Addr) error {
	r := m.records[a]
	r.Owners = slices.DeleteFunc(slices.Clone(r.Owners), func(o string) bool { return o == owner })
	if len(r.Owners) > 0 {
		return m.save(a, &r)
	}
	return m.drop(a)
}

func (m *Manager) drop(a netip.Addr) error {
	if r := m.records[a]; r.Device != "" {
		if err := remove(r.Device, a); err != nil {
			return err
		}
	}
	return m.save(a, nil)
}

func (m *Manager) deviceOf(a netip.Addr) (string, error) {
	for _, r := range m.rules {
		if r.Network.Contains(a) {
			return r.Device, nil
		}
	}
	return "", fmt.Errorf("address %s: no device is configured for its network", a)
}

// save changes the record of one address, nil removes it, in memory and in the file.
func (m *Manager) save(a netip.Addr, r *record) error {
	old, known := m.records[a]
	if r != nil {
		m.records[a] = *r
	} else {
		delete(m.records, a)
	}
	err := m.write()
	if err != nil && known {
		m.records[a] = old
	} else if err != nil {
		delete(m.records, a)
	}
	return err
}

func (m *Manager) write() error {
	content, err := json.MarshalIndent(m.records, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the address records: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(m.path), 0o700); err != nil {
		return fmt.Errorf("write the address records: %w", err)
	}
	temporary := m.path + ".new"
	if err := os.WriteFile(temporary, content, 0o600); err != nil {
		return fmt.Errorf("write the address records: %w", err)
	}
	if err := os.Rename(temporary, m.path); err != nil {
		return fmt.Errorf("write the address records: %w", err)
	}
	return nil
}

func isLocal(a netip.Addr) (bool, error) {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return false, fmt.Errorf("list addresses: %w", err)
	}
	return slices.ContainsFunc(all, func(have net.Addr) bool {
		n, ok := have.(*net.IPNet)
		return ok && n.IP.Equal(a.AsSlice())
	}), nil
}

func add(device string, a netip.Addr) error {
	link, err := netlink.LinkByName(device)
	if err != nil {
		return fmt.Errorf("address %s: device %s: %w", a, device, err)
	}
	// Without duplicate address detection an IPv6 address is usable at once; IPv4 ignores the flag.
	err = netlink.AddrAdd(link, &netlink.Addr{IPNet: host(a), Flags: unix.IFA_F_NODAD})
	if err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("add address %s to %s: %w", a, device, err)
	}
	return nil
}

func remove(device string, a netip.Addr) error {
	link, err := netlink.LinkByName(device)
	if errors.As(err, &netlink.LinkNotFoundError{}) {
		return nil // its addresses went with it
	}
	if err != nil {
		return fmt.Errorf("address %s: device %s: %w", a, device, err)
	}
	err = netlink.AddrDel(link, &netlink.Addr{IPNet: host(a)})
	if err != nil && !errors.Is(err, unix.EADDRNOTAVAIL) {
		return fmt.Errorf("remove address %s from %s: %w", a, device, err)
	}
	return nil
}

// host is the network of one address.
func host(a netip.Addr) *net.IPNet {
	return &net.IPNet{IP: a.AsSlice(), Mask: net.CIDRMask(a.BitLen(), a.BitLen())}
}

package openstack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/fairlead-io/fairlead/pkg/devcloud/dataplane/disk"
	"github.com/fairlead-io/fairlead/tests/lab/proc"
)

// Down ends the stack and removes its state and whatever it made on the machine; Debian's packages stay. It fails if
// something is left all the same.
func Down(ctx context.Context, to io.Writer) error {
	if os.Geteuid() != 0 {
		return errNotRoot
	}
	unlock, err := lock()
	if err != nil {
		return err
	}
	defer unlock()
	log := &progress{to: to, started: time.Now()}
	if err := down(ctx); err != nil {
		return err
	}
	log.done("OpenStack is down, nothing is left")
	return nil
}

func down(ctx context.Context) error {
	if err := checkOurs(); err != nil {
		return err
	}
	if err := os.RemoveAll(upFile()); err != nil { // from here on it is no stack
		return err
	}
	if err := proc.KillMarked(ctx, markVariable); err != nil {
		return err
	}
	if err := disk.Cleanup(ctx, Dir()); err != nil {
		return fmt.Errorf("%w; end what uses them (is there a lab on this OpenStack? `lab down`) and call down again", err)
	}
	if err := removeAddress(); err != nil {
		return err
	}
	if err := os.RemoveAll(Dir()); err != nil {
		return err
	}
	left, err := Leftovers()
	if err != nil {
		return err
	}
	if len(left) > 0 {
		return fmt.Errorf("left behind:\n  %s", strings.Join(left, "\n  "))
	}
	return nil
}

// Leftovers names everything of the stack that is on this machine now. After Down it is empty.
func Leftovers() ([]string, error) {
	var left []string
	marked, err := proc.Marked(markVariable)
	if err != nil {
		return nil, err
	}
	for _, id := range marked {
		left = append(left, fmt.Sprintf("process %d (%s)", id.PID, id.Name()))
	}
	loops, err := disk.Leftovers(Dir())
	if err != nil {
		return nil, err
	}
	for _, l := range loops {
		left = append(left, "loop device "+l.Device+" over volume "+l.VolumeID)
	}
	has, err := hasAddress()
	if err != nil {
		return nil, err
	}
	if has {
		left = append(left, "address "+Address)
	}
	if _, err := os.Stat(Dir()); err == nil {
		left = append(left, "directory "+Dir())
	}
	return left, nil
}

// addAddress gives the loopback device the stack's address, unless it has it.
func addAddress() error {
	lo, address, err := loopback()
	if err != nil {
		return err
	}
	if err := netlink.AddrAdd(lo, address); err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("add %s to lo: %w", address, err)
	}
	return nil
}

func removeAddress() error {
	has, err := hasAddress()
	if err != nil || !has {
		return err
	}
	lo, address, err := loopback()
	if err != nil {
		return err
	}
	if err := netlink.AddrDel(lo, address); err != nil {
		return fmt.Errorf("remove %s from lo: %w", address, err)
	}
	return nil
}

func hasAddress() (bool, error) {
	lo, address, err := loopback()
	if err != nil {
		return false, err
	}
	all, err := netlink.AddrList(lo, netlink.FAMILY_V4)
	if err != nil {
		return false, fmt.Errorf("addresses of lo: %w", err)
	}
	for _, a := range all {
		if a.IP.Equal(address.IP) {
			return true, nil
		}
	}
	return false, nil
}

func loopback() (netlink.Link, *netlink.Addr, error) {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return nil, nil, fmt.Errorf("loopback device: %w", err)
	}
	address, err := netlink.ParseAddr(Address + "/32")
	return lo, address, err
}

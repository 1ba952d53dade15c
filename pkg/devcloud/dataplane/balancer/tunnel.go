package balancer

import (
	"context"
	"io"
	"net"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// tunnel carries bytes between a client and a member in both directions.
type tunnel struct {
	client, member *net.TCPConn
	idle           time.Duration // silence in both directions after which it is cut
}

// run returns when both directions have ended. The end of any of the contexts cuts the tunnel.
func (t *tunnel) run(lives ...context.Context) {
	defer t.client.Close()
	defer t.member.Close()
	for _, life := range lives {
		defer context.AfterFunc(life, t.cut)()
	}
	defer t.cutWhenIdle()()
	var other sync.WaitGroup
	other.Go(func() { t.copy(t.client, t.member) })
	t.copy(t.member, t.client)
	other.Wait()
}

// copy carries one direction. Its orderly end is passed on, and the other direction goes on; an error cuts both.
func (t *tunnel) copy(to, from *net.TCPConn) {
	_, err := io.Copy(to, from) // splice(2): the bytes stay in the kernel
	if err == nil {
		err = to.CloseWrite()
	}
	if err != nil {
		t.cut()
	}
}

// cut makes both sides see an error.
func (t *tunnel) cut() {
	reset(t.client)
	reset(t.member)
}

// cutWhenIdle cuts the tunnel when it was silent for too long, until stop is called. Deadlines would need a hook into
// every read; the kernel knows when data last came.
func (t *tunnel) cutWhenIdle() (stop func()) {
	var mu sync.Mutex
	stopped := false
	var timer *time.Timer
	check := func() {
		mu.Lock()
		defer mu.Unlock()
		if stopped {
			return
		}
		silence := min(silent(t.client), silent(t.member))
		if silence >= t.idle {
			t.cut()
			return
		}
		timer.Reset(t.idle - silence)
	}
	mu.Lock()
	defer mu.Unlock()
	timer = time.AfterFunc(t.idle, check)
	return func() {
		mu.Lock()
		defer mu.Unlock()
		stopped = true
		timer.Stop()
	}
}

// silent is for how long no data came or went on the connection; one that is closed is silent for ever.
func silent(conn *net.TCPConn) time.Duration {
	const forever = time.Duration(1<<63 - 1)
	raw, err := conn.SyscallConn()
	if err != nil {
		return forever
	}
	var info *unix.TCPInfo
	cerr := raw.Control(func(fd uintptr) {
		info, err = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
	})
	if cerr != nil || err != nil {
		return forever
	}
	return time.Duration(min(info.Last_data_recv, info.Last_data_sent)) * time.Millisecond
}

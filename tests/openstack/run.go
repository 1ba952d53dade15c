package openstack

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/fairlead-io/fairlead/tests/lab/proc"
)

// readyTimeout is for one service, on a machine that compiles beside it.
const readyTimeout = 4 * time.Minute

// runUnits brings all units about, each as soon as what it needs is there. The first failure ends all.
func runUnits(ctx context.Context, all []unit, isNew bool, log *progress) error {
	done := map[string]chan struct{}{}
	for _, u := range all {
		done[u.name] = make(chan struct{})
	}
	group, ctx := errgroup.WithContext(ctx)
	watched, stop := context.WithCancel(ctx)
	defer stop()
	var busy sync.WaitGroup
	busy.Add(len(all))
	group.Go(func() error { return watch(watched, all, done) })
	group.Go(func() error { busy.Wait(); stop(); return nil })
	for _, u := range all {
		group.Go(func() error {
			defer busy.Done()
			for _, need := range u.needs {
				waitFor, known := done[need]
				if !known {
					return fmt.Errorf("%s needs %q, which does not exist", u.name, need)
				}
				select {
				case <-waitFor:
				case <-ctx.Done():
					return ctx.Err()
				}
			}
			begun := time.Now()
			if err := u.bring(ctx, isNew); err != nil {
				return fmt.Errorf("%s: %w", u.name, err)
			}
			log.done("%s (%.1f s)", u.name, time.Since(begun).Seconds())
			close(done[u.name])
			return nil
		})
	}
	return group.Wait()
}

// watch ends with an error when a service dies that was brought about, and without one when ctx does.
func watch(ctx context.Context, all []unit, done map[string]chan struct{}) error {
	err := wait.PollUntilContextCancel(ctx, 500*time.Millisecond, false, func(context.Context) (bool, error) {
		for _, u := range all {
			select {
			case <-done[u.name]:
			default:
				continue
			}
			if _, err := proc.Read(pidFile(u.name)); u.args != nil && errors.Is(err, proc.ErrGone) {
				return false, fmt.Errorf("%s: it died; %s", u.name, tail(logFile(u.name)))
			}
		}
		return false, nil
	})
	if ctx.Err() != nil {
		return nil //nolint:nilerr // the end of all units, or the error of another
	}
	return err
}

// bring does the step, or starts the service if it does not run, and returns when it works.
func (u unit) bring(ctx context.Context, isNew bool) error {
	if u.do != nil {
		if !isNew {
			return nil
		}
		return u.do(ctx)
	}
	if u.args != nil {
		if err := u.start(ctx); err != nil {
			return err
		}
	}
	if u.ready == nil {
		return nil
	}
	err := wait.PollUntilContextTimeout(ctx, 200*time.Millisecond, readyTimeout, true, func(ctx context.Context) (bool, error) {
		if u.args != nil {
			if _, err := proc.Read(pidFile(u.name)); errors.Is(err, proc.ErrGone) {
				return false, fmt.Errorf("it died; %s", tail(logFile(u.name)))
			}
		}
		return u.ready(ctx), nil
	})
	if wait.Interrupted(err) && ctx.Err() == nil {
		return fmt.Errorf("it does not work after %s; %s", readyTimeout, tail(logFile(u.name)))
	}
	return err
}

// start starts the service unless it runs, and ends first what is left of an earlier one: workers outlive their master.
func (u unit) start(ctx context.Context) error {
	if _, err := proc.Read(pidFile(u.name)); err == nil {
		return nil
	}
	if err := proc.KillMarked(ctx, markVariable+"="+u.name); err != nil {
		return err
	}
	if u.prepare != nil {
		if err := u.prepare(ctx); err != nil {
			return err
		}
	}
	if err := appendLine(logFile(u.name), startLine); err != nil {
		return err
	}
	args := u.args
	if u.ownRun {
		// A mount namespace whose /run is a directory of the state.
		args = append([]string{"/usr/bin/unshare", "--mount", "/bin/sh", "-c", `mount --bind "$0" /run && exec "$@"`, path("run", "root")}, args...)
	}
	_, err := proc.Start(proc.Spec{
		Args: args, Env: append(environment(u.name), u.env...), EnvAlone: true,
		Dir: Dir(), Log: logFile(u.name), PIDFile: pidFile(u.name),
	})
	if err != nil {
		return fmt.Errorf("%w; %s", err, tail(logFile(u.name)))
	}
	return nil
}

// without removes a file before a start that makes it again.
func without(file string) func(context.Context) error {
	return func(context.Context) error { return os.RemoveAll(file) }
}

// exists is a ready check: the file is there.
func exists(file string) func(context.Context) bool {
	return func(context.Context) bool {
		_, err := os.Stat(file)
		return err == nil
	}
}

// listens is a ready check: the address takes connections.
func listens(address string) func(context.Context) bool {
	return func(ctx context.Context) bool {
		conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", address)
		if err != nil {
			return false
		}
		return conn.Close() == nil
	}
}

// answers is a ready check: the service answers over HTTP, whatever it says.
func answers(url string) func(context.Context) bool {
	client := &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	return func(ctx context.Context) bool {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return false
		}
		response, err := client.Do(request)
		if err != nil {
			return false
		}
		return response.Body.Close() == nil && response.StatusCode < http.StatusInternalServerError
	}
}

// saysSinceStart is a ready check: the service's log has the text, written after its start.
func saysSinceStart(name, text string) func(context.Context) bool {
	return func(context.Context) bool {
		raw, err := os.ReadFile(logFile(name))
		if err != nil {
			return false
		}
		begun := strings.LastIndex(string(raw), startLine)
		return begun >= 0 && strings.Contains(string(raw[begun:]), text)
	}
}

// startLine divides a log where the service was started.
const startLine = "-------- started by openstack up"

func appendLine(file, line string) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = f.WriteString(line + "\n")
	return errors.Join(err, f.Close())
}

package tools

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

const policyFile = "/usr/sbin/policy-rc.d"

// InstallPackages installs the Debian packages that are missing, without recommended ones and without starting
// services. It refreshes apt's lists only if there are none or an install fails. Nothing missing costs one dpkg-query.
func InstallPackages(ctx context.Context, progress io.Writer, names ...string) error {
	missing, err := missingPackages(ctx, names)
	if err != nil || len(missing) == 0 {
		return err
	}
	wanted := strings.Join(missing, " ")
	if os.Geteuid() != 0 {
		return fmt.Errorf("the Debian packages %s are missing; as root: apt-get install %s", wanted, wanted)
	}
	_, _ = fmt.Fprintf(progress, "installing Debian packages: %s\n", wanted)
	restore, err := forbidServices()
	if err != nil {
		return err
	}
	defer restore()
	if lists, _ := filepath.Glob("/var/lib/apt/lists/*_Packages*"); len(lists) == 0 {
		if err := aptGet(ctx, "update"); err != nil {
			return err
		}
	}
	install := append([]string{"install", "-y", "--no-install-recommends"}, missing...)
	if err := aptGet(ctx, install...); err != nil {
		// The lists may be older than the mirror: fetch them and try once more.
		if update := aptGet(ctx, "update"); update != nil {
			return errors.Join(err, update)
		}
		return aptGet(ctx, install...)
	}
	return nil
}

func missingPackages(ctx context.Context, names []string) ([]string, error) {
	if len(names) == 0 {
		return nil, nil
	}
	args := append([]string{"-W", "-f", "${Package} ${db:Status-Status}\n"}, names...)
	out, err := exec.CommandContext(ctx, "dpkg-query", args...).Output()
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 1) { // 1: some name is unknown
		return nil, fmt.Errorf("dpkg-query: %w; the lab needs Debian", err)
	}
	return notInstalled(string(out), names), nil
}

// notInstalled reads lines of "package status" as dpkg-query prints them.
func notInstalled(status string, names []string) []string {
	installed := map[string]bool{}
	for line := range strings.Lines(status) {
		if name, state, ok := strings.Cut(strings.TrimSpace(line), " "); ok && state == "installed" {
			installed[name] = true
		}
	}
	var missing []string
	for _, name := range names {
		if !installed[name] {
			missing = append(missing, name)
		}
	}
	return missing
}

func aptGet(ctx context.Context, args ...string) error {
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, "apt-get", append([]string{"-q", "-o", "DPkg::Lock::Timeout=300"}, args...)...)
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("apt-get %s: %w\n%s", strings.Join(args, " "), err, lastLines(out.String(), 10))
	}
	return nil
}

func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// forbidServices keeps package scripts from starting daemons, unless the machine has a policy of its own.
func forbidServices() (restore func(), err error) {
	file, err := os.OpenFile(policyFile, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o755)
	if errors.Is(err, os.ErrExist) {
		return func() {}, nil
	}
	if err != nil {
		return nil, err
	}
	restore = func() { _ = os.Remove(policyFile) }
	_, err = file.WriteString("#!/bin/sh\nexit 101\n")
	if err = errors.Join(err, file.Close()); err != nil {
		restore()
		return nil, err
	}
	return restore, nil
}

package proc

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

// A Spec describes a process to start.
type Spec struct {
	// Args is the program, by path or by name on PATH, and its arguments.
	Args []string
	// Env is added to this process's environment, or is the whole environment if EnvAlone is set.
	Env      []string
	EnvAlone bool
	Dir      string
	// Log is appended to by its standard output and error.
	Log string
	// PIDFile names it once it runs.
	PIDFile string
	// Files are its file descriptors from 3 on.
	Files []*os.File
	// Attributes are how it is cloned; it always gets a session of its own.
	Attributes syscall.SysProcAttr
}

// Start starts the process in a session of its own, so that it lives on when this program ends.
func Start(spec Spec) (ID, error) {
	if err := errors.Join(os.MkdirAll(filepath.Dir(spec.Log), 0o755), os.MkdirAll(filepath.Dir(spec.PIDFile), 0o755)); err != nil {
		return ID{}, err
	}
	log, err := os.OpenFile(spec.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return ID{}, err
	}
	defer func() { _ = log.Close() }()
	cmd := exec.Command(spec.Args[0], spec.Args[1:]...) //nolint:noctx // it outlives us
	cmd.Env = spec.Env
	if !spec.EnvAlone {
		cmd.Env = append(os.Environ(), spec.Env...)
	}
	cmd.Dir = spec.Dir
	cmd.Stdout, cmd.Stderr = log, log
	cmd.ExtraFiles = spec.Files
	attributes := spec.Attributes
	attributes.Setsid = true
	cmd.SysProcAttr = &attributes
	if err := cmd.Start(); err != nil {
		return ID{}, fmt.Errorf("start %s: %w", spec.Args[0], err)
	}
	pid := cmd.Process.Pid
	if err := cmd.Process.Release(); err != nil {
		return ID{}, err
	}
	id, err := Identify(pid)
	if err != nil {
		return ID{}, fmt.Errorf("%s ended at once; see %s", spec.Args[0], spec.Log)
	}
	return id, id.Write(spec.PIDFile)
}

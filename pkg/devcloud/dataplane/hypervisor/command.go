package hypervisor

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Options configure a Command.
type Options struct {
	// Argv is the operator's command; "start", "stop" or "status" is appended.
	Argv []string
	// Dir keeps the descriptions of started servers, so that stop and status get them after a restart too.
	Dir string
	// Timeout bounds each run; 0: two minutes.
	Timeout time.Duration
}

// Command is a hypervisor that runs the operator's command. It gets a Server as JSON on its standard input.
//
//	start   starts the server's processes apart from this one and prints a Started as JSON; repeated: does nothing, prints the same
//	stop    ends all the server's processes at once, as a power cut does; repeated: does nothing
//	status  exits with 0 when the server runs and with 3 when it does not
type Command struct {
	argv    []string
	dir     string
	timeout time.Duration
}

// notRunning is the exit code of "status" for a server that does not run, as in the LSB's init scripts.
const notRunning = 3

// New checks the options.
func New(opts Options) (*Command, error) {
	if len(opts.Argv) == 0 || opts.Argv[0] == "" {
		return nil, errors.New("hypervisor: no command is configured")
	}
	if err := os.MkdirAll(opts.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("hypervisor: %w", err)
	}
	if opts.Timeout == 0 {
		opts.Timeout = 2 * time.Minute
	}
	return &Command{argv: opts.Argv, dir: opts.Dir, timeout: opts.Timeout}, nil
}

// Start starts the server, or finds it running. After an error call Start again or Stop.
func (c *Command) Start(ctx context.Context, s Server) (Started, error) {
	// Written first: whatever start leaves when we are killed now, Stop can describe it.
	if err := c.save(s); err != nil {
		return Started{}, err
	}
	out, _, err := c.run(ctx, "start", s)
	if err != nil {
		return Started{}, err
	}
	var started Started
	if err := json.Unmarshal(out, &started); err != nil {
		return Started{}, fmt.Errorf("start of server %s: the command must print JSON such as {\"netns\":\"/run/netns/n1\"}, got %q: %w", s.ID, clip(out), err)
	}
	return started, nil
}

// Stop cuts the server's power. A server that does not run, or was never known, is no error.
func (c *Command) Stop(ctx context.Context, id string) error {
	s, err := c.load(id)
	if err != nil {
		return err
	}
	if _, _, err := c.run(ctx, "stop", s); err != nil {
		return err
	}
	if err := os.Remove(c.file(id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("stop of server %s: %w", id, err)
	}
	return nil
}

// Running tells whether the server's processes are there.
func (c *Command) Running(ctx context.Context, id string) (bool, error) {
	s, err := c.load(id)
	if err != nil {
		return false, err
	}
	_, code, err := c.run(ctx, "status", s)
	if code == notRunning {
		return false, nil
	}
	return err == nil, err
}

// run executes one verb and returns what it printed and its exit code.
func (c *Command) run(ctx context.Context, verb string, s Server) (stdout []byte, code int, err error) {
	description, err := json.Marshal(s)
	if err != nil {
		return nil, -1, fmt.Errorf("%s of server %s: %w", verb, s.ID, err)
	}
	// Files and not pipes: the server's processes may inherit them, and waiting for a pipe's end would wait for those.
	out, err := anonymousFile()
	if err != nil {
		return nil, -1, err
	}
	defer out.Close()
	problems, err := anonymousFile()
	if err != nil {
		return nil, -1, err
	}
	defer problems.Close()

	limited, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	cmd := exec.CommandContext(limited, c.argv[0], append(c.argv[1:len(c.argv):len(c.argv)], verb)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(description), out, problems
	// A session of its own: a Ctrl-C for us is none for a node. A run that takes too long is killed with its children.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	err = cmd.Run()
	stdout = content(out)
	if err == nil {
		return stdout, 0, nil
	}
	if limited.Err() != nil {
		err = fmt.Errorf("%w after at most %s", context.Cause(limited), c.timeout)
	}
	return stdout, cmd.ProcessState.ExitCode(), fmt.Errorf("%s of server %s: %s: %w: %s", verb, s.ID, strings.Join(c.argv, " "), err, clip(content(problems)))
}

func anonymousFile() (*os.File, error) {
	f, err := os.CreateTemp("", "fairlead-hypervisor-")
	if err != nil {
		return nil, fmt.Errorf("hypervisor: %w", err)
	}
	if err := os.Remove(f.Name()); err != nil {
		f.Close()
		return nil, fmt.Errorf("hypervisor: %w", err)
	}
	return f, nil
}

func content(f *os.File) []byte {
	all, _ := io.ReadAll(io.NewSectionReader(f, 0, 1<<20))
	return all
}

// clip keeps the end of a message, where the reason of a failure is.
func clip(b []byte) string {
	const most = 2000
	b = bytes.TrimSpace(b)
	if len(b) > most {
		return "..." + string(b[len(b)-most:])
	}
	return string(b)
}

func (c *Command) file(id string) string { return filepath.Join(c.dir, filepath.Base(id)+".json") }

func (c *Command) save(s Server) error {
	description, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("describe server %s: %w", s.ID, err)
	}
	temporary := c.file(s.ID) + ".new"
	if err := os.WriteFile(temporary, description, 0o600); err != nil {
		return fmt.Errorf("describe server %s: %w", s.ID, err)
	}
	if err := os.Rename(temporary, c.file(s.ID)); err != nil {
		return fmt.Errorf("describe server %s: %w", s.ID, err)
	}
	return nil
}

func (c *Command) load(id string) (Server, error) {
	description, err := os.ReadFile(c.file(id))
	if errors.Is(err, fs.ErrNotExist) {
		return Server{ID: id}, nil
	}
	if err != nil {
		return Server{}, fmt.Errorf("describe server %s: %w", id, err)
	}
	var s Server
	if err := json.Unmarshal(description, &s); err != nil {
		return Server{}, fmt.Errorf("describe server %s from %s: %w", id, c.file(id), err)
	}
	return s, nil
}

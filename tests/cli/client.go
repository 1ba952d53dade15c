package cli

import (
	"bufio"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"
)

//go:embed forker.py
var forker string

// Program is the command line under test, and Packages are Debian's names of it.
const Program = "/usr/bin/openstack"

// Packages are the Debian packages of the command line.
var Packages = []string{"python3-openstackclient", "python3-octaviaclient"}

// Result is what one run of openstack left behind.
type Result struct {
	Code   int    `json:"code"`
	Stdout string `json:"stdout"`
	Stderr string `json:"stderr"`
}

// Client runs openstack commands for one cloud of a clouds.yaml.
type Client struct {
	cmd     *exec.Cmd
	stdin   io.WriteCloser
	answers *bufio.Reader
}

// NewClient starts the Python process behind which the commands run. It ends with ctx, or by Close.
func NewClient(ctx context.Context, cloudsFile, cloud string) (*Client, error) {
	cmd := exec.CommandContext(ctx, "/usr/bin/python3", "-c", forker)
	cmd.Env = []string{
		"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=" + os.TempDir(), "LANG=C.UTF-8", "PYTHONDONTWRITEBYTECODE=1",
		"PYTHONHASHSEED=0", // the SDK joins the lines of an error page in the order of a set
		"OS_CLIENT_CONFIG_FILE=" + cloudsFile, "OS_CLOUD=" + cloud,
	}
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the command line: %w", err)
	}
	return &Client{cmd, stdin, bufio.NewReader(stdout)}, nil
}

// Close ends the process.
func (c *Client) Close() error { return errors.Join(c.stdin.Close(), c.cmd.Wait()) }

// Run runs one command.
func (c *Client) Run(args []string) (Result, error) {
	var r Result
	line, err := json.Marshal(args)
	if err != nil {
		return r, err
	}
	if _, err := c.stdin.Write(append(line, '\n')); err != nil {
		return r, fmt.Errorf("openstack %s: %w", strings.Join(args, " "), err)
	}
	answer, err := c.answers.ReadBytes('\n')
	if err != nil {
		return r, fmt.Errorf("openstack %s: no result: %w", strings.Join(args, " "), err)
	}
	return r, json.Unmarshal(answer, &r)
}

// Exchange is a step with what came of it.
type Exchange struct {
	Step
	Result
}

// patience bounds how long a step with Until may take, and pause is the time between its looks.
const (
	patience = 3 * time.Minute
	pause    = 300 * time.Millisecond
)

// Play runs the steps one after another. It goes on after a step that did not come out as it should, so that what the
// script made is removed by its last lines; the error names all of them.
func Play(ctx context.Context, c *Client, steps []Step) ([]Exchange, error) {
	variables := map[string]string{}
	var exchanges []Exchange
	var wrong []error
	for _, step := range steps {
		if step.Until != "" {
			if err := await(ctx, c, step, variables); err != nil {
				wrong = append(wrong, err)
			}
			continue
		}
		r, err := c.Run(substitute(step.Args, variables))
		if err != nil {
			return exchanges, errors.Join(append(wrong, err)...)
		}
		if step.Refused != (r.Code != 0) {
			wrong = append(wrong, fmt.Errorf("%s: exit code %d: %s", step.Line, r.Code, r.Stderr))
		}
		if step.Variable != "" {
			variables[step.Variable] = strings.TrimSpace(r.Stdout)
			continue
		}
		exchanges = append(exchanges, Exchange{step, r})
	}
	return exchanges, errors.Join(wrong...)
}

func substitute(args []string, variables map[string]string) []string {
	out := make([]string, len(args))
	for i, arg := range args {
		out[i] = os.Expand(arg, func(name string) string { return variables[name] })
	}
	return out
}

func await(ctx context.Context, c *Client, step Step, variables map[string]string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		r, err := c.Run(substitute(step.Args, variables))
		if err != nil {
			return err
		}
		if step.Gone && r.Code != 0 || !step.Gone && strings.TrimSpace(r.Stdout) == step.Until {
			return nil
		}
		if !step.Gone && r.Code != 0 {
			return fmt.Errorf("%s: exit code %d: %s", step.Line, r.Code, r.Stderr)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w; last seen: %s%s", step.Line, ctx.Err(), r.Stdout, r.Stderr)
		case <-time.After(pause):
		}
	}
}

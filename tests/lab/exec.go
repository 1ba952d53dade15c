package lab

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"

	"github.com/fairlead-io/fairlead/tests/lab/layout"
	"github.com/fairlead-io/fairlead/tests/lab/node"
)

// Command prepares a program inside a node, in all its namespaces. Standard input and output are the caller's to set.
func Command(ctx context.Context, nodeName string, args ...string) (*exec.Cmd, error) {
	pid, err := InitPID(nodeName)
	if err != nil {
		return nil, err
	}
	enter := []string{"--target", strconv.Itoa(pid), "--mount", "--uts", "--ipc", "--net", "--pid", "--"}
	cmd := exec.CommandContext(ctx, "nsenter", append(enter, args...)...)
	cmd.Env = append(os.Environ(), "PATH="+node.Path())
	return cmd, nil
}

// Exec runs a program inside a node and returns what it printed.
func Exec(ctx context.Context, nodeName string, args ...string) (string, error) {
	cmd, err := Command(ctx, nodeName, args...)
	if err != nil {
		return "", err
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("%v in node %s: %w\n%s", args, nodeName, err, out)
	}
	return string(out), nil
}

// InitPID is the host's pid of a running node's PID 1: /proc/PID/root is the node's file system.
func InitPID(nodeName string) (int, error) {
	place, err := layout.ParseNode(nodeName)
	if err != nil {
		return 0, err
	}
	id, err := node.Init(place)
	return id.PID, err
}

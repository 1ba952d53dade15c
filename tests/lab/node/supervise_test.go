package node

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"k8s.io/apimachinery/pkg/util/wait"
)

const superviseVariable = "LAB_TEST_SUPERVISE"

// TestMain lets the test program be a supervising process of its own: reaping is of the whole process.
func TestMain(m *testing.M) {
	if script := os.Getenv(superviseVariable); script != "" {
		if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		s := newSupervisor(os.Stdout)
		go s.reap()
		s.keep(program{name: "child", args: []string{"sh", "-c", script}, log: filepath.Join(os.TempDir(), "child.log")})
	}
	os.Exit(m.Run())
}

// supervise runs the script under a supervisor and returns its pid and what it says, line by line.
func supervise(t *testing.T, script string) (pid int, said *bufio.Scanner) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), superviseVariable+"="+script, "TMPDIR="+t.TempDir())
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return cmd.Process.Pid, bufio.NewScanner(out)
}

func TestAnEndedProgramIsStartedAgain(t *testing.T) {
	for _, tt := range []struct{ name, script, want string }{
		{"it fails", "exit 7", "child ended (exit code 7); starting it again"},
		{"it is killed", "kill -9 $$", "child ended (killed); starting it again"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, said := supervise(t, tt.script)
			for range 2 {
				if !said.Scan() || !strings.Contains(said.Text(), tt.want) {
					t.Fatalf("said %q", said.Text())
				}
			}
		})
	}
}

func TestOrphansAreReaped(t *testing.T) {
	file := filepath.Join(t.TempDir(), "orphan")
	// The orphan's parent ends at once; the orphan ends when the test kills it.
	pid, _ := supervise(t, fmt.Sprintf(`sh -c 'sleep 1000 & echo $! > %s.new; mv %s.new %s'; sleep 1000`, file, file, file))
	var orphan int
	await(t, "the orphan's pid", func() bool {
		raw, err := os.ReadFile(file)
		if err != nil {
			return false
		}
		orphan, err = strconv.Atoi(strings.TrimSpace(string(raw)))
		return err == nil
	})
	await(t, "the orphan's adoption", func() bool { return parent(orphan) == pid })
	if err := unix.Kill(orphan, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	await(t, "the orphan's end, without a zombie", func() bool {
		_, err := os.Stat(fmt.Sprintf("/proc/%d", orphan))
		return os.IsNotExist(err)
	})
}

func parent(pid int) int {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	_, after, _ := strings.Cut(string(raw), ") ")
	fields := strings.Fields(after)
	if len(fields) < 2 {
		return 0
	}
	ppid, _ := strconv.Atoi(fields[1])
	return ppid
}

func await(t *testing.T, what string, condition func() bool) {
	t.Helper()
	err := wait.PollUntilContextTimeout(t.Context(), 5*time.Millisecond, 30*time.Second, true, func(context.Context) (bool, error) {
		return condition(), nil
	})
	if err != nil {
		t.Fatalf("waiting for %s: %v", what, err)
	}
}

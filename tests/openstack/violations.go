package openstack

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"
)

// A Violation is what would have lost data on a cloud with hypervisors: see docs/devcloud.md.
type Violation struct {
	Time   time.Time `json:"time"`
	Kind   string    `json:"kind"`
	Volume string    `json:"volume"`
	Server string    `json:"server"`
	Detail string    `json:"detail"`
}

func violationsFile() string { return path("violations.log") }

func recordViolation(v Violation) error {
	v.Time = time.Now().UTC()
	line, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return appendLine(violationsFile(), string(line))
}

// Violations are those at the servers with these ids, of all servers if there are none, since Up made the state; the oldest
// first. Other tests use the cloud at the same time.
func Violations(servers ...string) ([]Violation, error) {
	var all []Violation
	err := eachLine(violationsFile(), 0, func(line []byte) error {
		var v Violation
		if err := json.Unmarshal(line, &v); err != nil {
			return fmt.Errorf("%s: %w: %s", violationsFile(), err, line)
		}
		if len(servers) == 0 || slices.Contains(servers, v.Server) {
			all = append(all, v)
		}
		return nil
	})
	return all, err
}

// eachLine reads the complete lines of a file from an offset on. A file that does not exist has none.
func eachLine(file string, offset int64, use func([]byte) error) error {
	f, err := os.Open(file)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	if _, err := f.Seek(offset, 0); err != nil {
		return err
	}
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if err := use(lines.Bytes()); err != nil {
			return err
		}
	}
	return lines.Err()
}

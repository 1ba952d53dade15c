package openstack

import (
	"os"
	"strings"
	"testing"

	"github.com/fairlead-io/fairlead/tests/lab/proc"
)

func TestStatus(t *testing.T) {
	services := func(dead string) []ServiceStatus {
		return []ServiceStatus{{"keystone", dead != "keystone"}, {"nova", dead != "nova"}}
	}
	tests := []struct {
		name     string
		status   Status
		complete bool
		line     string
	}{
		{"everything runs", Status{WasUp: true, Services: services("")}, true, "nova up"},
		{"a service died", Status{WasUp: true, Services: services("nova")}, false, "nova down"},
		{"everything runs and up was interrupted", Status{Services: services("")}, false, "keystone up"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.status.Complete(); got != tt.complete {
				t.Errorf("complete is %t", got)
			}
			if text := strings.Join(strings.Fields(tt.status.String()), " "); !strings.Contains(text, tt.line) {
				t.Errorf("says %q", text)
			}
		})
	}
}

func TestStatusIsReadFromTheProcesses(t *testing.T) {
	t.Setenv(DirVariable, t.TempDir())
	if err := os.MkdirAll(path("run"), 0o755); err != nil {
		t.Fatal(err)
	}
	self, err := proc.Identify(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if err := self.Write(pidFile("keystone")); err != nil {
		t.Fatal(err)
	}
	boot, err := bootID()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, up string
		want     bool
	}{{"of this boot", string(boot), true}, {"of an earlier boot", "another", false}} {
		if err := os.WriteFile(upFile(), []byte(tt.up), 0o600); err != nil {
			t.Fatal(err)
		}
		status, err := ReadStatus()
		if err != nil || status.WasUp != tt.want {
			t.Errorf("%s: was up is %t, %v", tt.name, status.WasUp, err)
		}
		for _, service := range status.Services {
			if service.Runs != (service.Name == "keystone") {
				t.Errorf("%s runs: %t", service.Name, service.Runs)
			}
		}
	}
}

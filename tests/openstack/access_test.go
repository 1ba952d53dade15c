package openstack

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestParseCall(t *testing.T) {
	const line = `{"time": "2026-11-22T20:15:53.443Z", "method": "GET", "uri": "/v3/p1/volumes/detail?limit=7&name=a%20b",` +
		` "agent": "fairlead-csi/0.1.0 gophercloud/v2.15.0", "status": 200, "msecs": 95}`
	got, err := parseCall("cinder", []byte(line))
	if err != nil {
		t.Fatal(err)
	}
	want := Call{
		Service: "cinder", Time: time.Date(2026, 11, 22, 20, 15, 53, 443e6, time.UTC), Method: "GET", Path: "/v3/p1/volumes/detail",
		Query: map[string][]string{"limit": {"7"}, "name": {"a b"}}, Agent: "fairlead-csi/0.1.0 gophercloud/v2.15.0", Status: 200,
		Took: 95 * time.Millisecond,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if text := got.String(); text != "cinder GET /v3/p1/volumes/detail?limit=7&name=a+b 200" {
		t.Errorf("says %q", text)
	}
	for _, bad := range []string{"", "text", `{"uri": "no slash"}`} {
		if _, err := parseCall("cinder", []byte(bad)); err == nil {
			t.Errorf("%q is no error", bad)
		}
	}
}

// ask sends requests through the middleware as a uwsgi worker has it.
func ask(t *testing.T, service string, agents ...string) {
	t.Helper()
	const script = `
import sys
from fairlead_openstack import access
def application(environ, start_response):
    start_response('404 Not Found', [])
    return [b'']
logged = access.AccessLog(application, sys.argv[1])
for agent in sys.argv[2:]:
    logged({'REQUEST_METHOD': 'GET', 'SCRIPT_NAME': '/v3', 'PATH_INFO': '/a b', 'QUERY_STRING': 'q=1', 'HTTP_USER_AGENT': agent}, lambda *a: None)
`
	cmd := exec.Command("/usr/bin/python3", append([]string{"-c", script, service}, agents...)...)
	cmd.Env = environment("test")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

func TestCallsSinceAMarkAreRead(t *testing.T) {
	if _, err := os.Stat("/usr/bin/python3"); err != nil {
		t.Skip("Debian's python3 is not installed")
	}
	t.Setenv(DirVariable, t.TempDir())
	if _, err := Mark(t.Context()); err == nil || !strings.Contains(err.Error(), "make openstack-up") {
		t.Errorf("a mark without a cloud: %v", err)
	}
	if err := os.MkdirAll(path("log"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := writePython(); err != nil {
		t.Fatal(err)
	}
	ask(t, "nova", "fairlead-csi/1")
	mark, err := Mark(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ask(t, "nova", `fairlead-ccm/1 "quoted"`, "fairlead-csi/1", "curl")
	ask(t, "neutron", "fairlead-ccm/1") // a log that the mark does not know
	calls, err := Calls(mark, "fairlead-ccm")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range calls {
		got = append(got, c.Agent+" "+c.String())
	}
	want := []string{`fairlead-ccm/1 "quoted" nova GET /v3/a b?q=1 404`, "fairlead-ccm/1 neutron GET /v3/a b?q=1 404"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if all, err := Calls(mark, ""); err != nil || len(all) != 4 {
		t.Errorf("all agents: %v, %v", all, err)
	}
}

func TestViolationsAreRead(t *testing.T) {
	t.Setenv(DirVariable, t.TempDir())
	if none, err := Violations(); err != nil || len(none) > 0 {
		t.Errorf("before any: %v, %v", none, err)
	}
	want := []Violation{
		{Kind: "detach-in-use", Volume: "v1", Server: "s1", Detail: "mounted at /data"},
		{Kind: "detach-in-use", Volume: "v2", Server: "s2", Detail: "open in dd (pid 7)"},
	}
	for _, v := range want {
		if err := recordViolation(v); err != nil {
			t.Fatal(err)
		}
	}
	got, err := Violations()
	if err != nil {
		t.Fatal(err)
	}
	for i := range got {
		if time.Since(got[i].Time) > time.Hour {
			t.Errorf("recorded at %s", got[i].Time)
		}
		got[i].Time = time.Time{}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if of, err := Violations("s0", "s2"); err != nil || len(of) != 1 || of[0].Volume != "v2" {
		t.Errorf("at the second server: %v, %v", of, err)
	}
}

func TestFaultsAreFiles(t *testing.T) {
	t.Setenv(DirVariable, t.TempDir())
	if err := Inject("cinder.create_volume", Fault{Sleep: 1500 * time.Millisecond, Fail: "full", Times: 2}); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(Dir(), "faults", "cinder.create_volume"))
	if err != nil || string(text) != `{"fail":"full","sleep":1.5,"times":2}` {
		t.Errorf("got %s, %v", text, err)
	}
	if err := Heal(""); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(path("faults")); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

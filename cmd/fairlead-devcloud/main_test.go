package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"
	"github.com/gophercloud/gophercloud/v2/openstack/blockstorage/v3/volumes"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/volumeattach"

	"github.com/fairlead-io/fairlead/pkg/devcloud/dataplane/disk"
)

// asProgram in the environment makes the test binary the program itself.
const asProgram = "FAIRLEAD_DEVCLOUD_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

func program(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	return cmd
}

// config writes a configuration with a state directory and a free port of its own.
func config(t *testing.T) (path, stateDir, url string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	out, err := program(t, "default-config").Output()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	stateDir = filepath.Join(dir, "state")
	text := strings.NewReplacer("127.0.0.1:8780", address, "/var/lib/fairlead-devcloud", stateDir).Replace(string(out))
	path = filepath.Join(dir, "devcloud.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path, stateDir, "http://" + address
}

// serve starts the program and returns when it answers.
func serveProgram(t *testing.T, path, url string) *exec.Cmd {
	t.Helper()
	cmd := program(t, "serve", "--config", path)
	var log bytes.Buffer
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("devcloud said:\n%s", log.String())
		}
	})
	eventually(t, "the program answers", func() bool {
		resp, err := http.Get(url + "/identity/v3/")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	return cmd
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for: %s", what)
		}
	}
}

func end(t *testing.T, cmd *exec.Cmd, sig os.Signal) *os.ProcessState {
	t.Helper()
	if err := cmd.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // its state is what counts
	return cmd.ProcessState
}

type clients struct{ compute, volume *gophercloud.ServiceClient }

func connect(t *testing.T, url string) clients {
	t.Helper()
	provider, err := openstack.AuthenticatedClient(t.Context(), gophercloud.AuthOptions{
		IdentityEndpoint: url + "/identity/v3", Username: "demo", Password: "demo", DomainName: "Default", TenantName: "demo",
	}) // no AllowReauth: the token must outlive the process
	if err != nil {
		t.Fatal(err)
	}
	compute, err := openstack.NewComputeV2(provider, gophercloud.EndpointOpts{})
	if err != nil {
		t.Fatal(err)
	}
	volume, err := openstack.NewBlockStorageV3(provider, gophercloud.EndpointOpts{})
	if err != nil {
		t.Fatal(err)
	}
	compute.Microversion, volume.Microversion = "2.79", "3.59"
	return clients{compute, volume}
}

func (c clients) list(t *testing.T) map[string]volumes.Volume {
	t.Helper()
	pages, err := volumes.List(c.volume, nil).AllPages(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	all, err := volumes.ExtractVolumes(pages)
	if err != nil {
		t.Fatal(err)
	}
	byName := map[string]volumes.Volume{}
	for _, v := range all {
		byName[v.Name] = v
	}
	return byName
}

// settled waits until no volume is in transition.
func (c clients) settled(t *testing.T) map[string]volumes.Volume {
	t.Helper()
	var all map[string]volumes.Volume
	eventually(t, "all volumes settle", func() bool {
		all = c.list(t)
		for _, v := range all {
			if v.Status != "available" && v.Status != "in-use" {
				return false
			}
		}
		return true
	})
	return all
}

func TestEverythingSettlesAfterKill9InTheMiddleOfIt(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("loop devices need root")
	}
	path, stateDir, url := config(t)
	t.Cleanup(func() {
		if err := disk.Cleanup(context.Background(), stateDir); err != nil {
			t.Error(err)
		}
	})
	cmd := serveProgram(t, path, url)
	c := connect(t, url)
	again := func(after time.Duration) {
		t.Helper()
		time.Sleep(after) // to hit operations at different points: queued, running, done
		end(t, cmd, syscall.SIGKILL)
		cmd = serveProgram(t, path, url)
	}
	s, err := servers.Create(t.Context(), c.compute, servers.CreateOpts{Name: "n1", FlavorRef: "1", Networks: "auto"}, nil).Extract()
	if err != nil {
		t.Fatal(err)
	}
	const count = 12
	for i := range count {
		if err := volumes.Create(t.Context(), c.volume, volumes.CreateOpts{Name: fmt.Sprint("v", i), Size: 1}, nil).Err; err != nil {
			t.Fatal(err)
		}
		if i == count/2 {
			again(0)
		}
	}
	again(20 * time.Millisecond)
	all := c.settled(t)
	if len(all) != count {
		t.Fatalf("%d volumes, want %d", len(all), count)
	}
	eventually(t, "server ACTIVE", func() bool {
		v, err := servers.Get(t.Context(), c.compute, s.ID).Extract()
		return err == nil && v.Status == "ACTIVE"
	})
	i := 0
	for _, v := range all {
		if err := volumeattach.Create(t.Context(), c.compute, s.ID, volumeattach.CreateOpts{VolumeID: v.ID}).Err; err != nil {
			t.Fatal(err)
		}
		if i++; i%4 == 0 {
			again(time.Duration(i) * 5 * time.Millisecond)
		}
	}
	for _, v := range c.settled(t) {
		if v.Status != "in-use" {
			t.Errorf("volume %s is %s", v.ID, v.Status)
		}
		link := filepath.Join(stateDir, "servers", s.ID, "disk", "by-id", "virtio-"+v.ID[:20])
		if _, err := os.Stat(link); err != nil {
			t.Error(err)
		}
	}
	if err := servers.Delete(t.Context(), c.compute, s.ID).ExtractErr(); err != nil {
		t.Fatal(err)
	}
	again(60 * time.Millisecond)
	eventually(t, "server gone", func() bool {
		return gophercloud.ResponseCodeIs(servers.Get(t.Context(), c.compute, s.ID).Err, http.StatusNotFound)
	})
	for _, v := range c.settled(t) {
		if err := volumes.Delete(t.Context(), c.volume, v.ID, nil).ExtractErr(); err != nil {
			t.Fatal(err)
		}
	}
	again(55 * time.Millisecond)
	eventually(t, "volumes gone", func() bool { return len(c.list(t)) == 0 })
	noTrace(t, stateDir, url)
	if state := end(t, cmd, syscall.SIGTERM); state.ExitCode() != 0 {
		t.Errorf("SIGTERM: %s", state)
	}
}

// noTrace checks that all volumes are gone without a loop device or file left, and that none was ever in danger.
func noTrace(t *testing.T, stateDir, url string) {
	t.Helper()
	if loops, err := disk.Leftovers(stateDir); err != nil || len(loops) > 0 {
		t.Errorf("loop devices left: %v, %v", loops, err)
	}
	if files, _ := filepath.Glob(filepath.Join(stateDir, "volumes", "*")); len(files) > 0 {
		t.Errorf("files left: %v", files)
	}
	resp, err := http.Get(url + "/admin/violations")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var seen struct{ Violations []any }
	if b, err := io.ReadAll(resp.Body); err != nil || json.Unmarshal(b, &seen) != nil || len(seen.Violations) > 0 {
		t.Errorf("violations: %s, %v", b, err)
	}
}

func TestCleanupGivesBackWhatAKilledCloudLeft(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("loop devices need root")
	}
	path, stateDir, url := config(t)
	cmd := serveProgram(t, path, url)
	c := connect(t, url)
	s, err := servers.Create(t.Context(), c.compute, servers.CreateOpts{Name: "n1", FlavorRef: "1", Networks: "auto"}, nil).Extract()
	if err != nil {
		t.Fatal(err)
	}
	v, err := volumes.Create(t.Context(), c.volume, volumes.CreateOpts{Name: "v", Size: 1}, nil).Extract()
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "attach accepted", func() bool {
		return volumeattach.Create(t.Context(), c.compute, s.ID, volumeattach.CreateOpts{VolumeID: v.ID}).Err == nil
	})
	if all := c.settled(t); all["v"].Status != "in-use" {
		t.Fatalf("volume %+v", all["v"])
	}
	end(t, cmd, syscall.SIGKILL)
	if loops, err := disk.Leftovers(stateDir); err != nil || len(loops) != 1 {
		t.Fatalf("a disk must stay when the cloud dies: %v, %v", loops, err)
	}
	if out, err := program(t, "cleanup", "--config", path).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if loops, err := disk.Leftovers(stateDir); err != nil || len(loops) > 0 {
		t.Errorf("loop devices left: %v, %v", loops, err)
	}
	cmd = serveProgram(t, path, url) // as after a reboot: the attachment is there again
	if loops, err := disk.Leftovers(stateDir); err != nil || len(loops) != 1 {
		t.Errorf("the attachment was not brought back: %v, %v", loops, err)
	}
	end(t, cmd, syscall.SIGTERM)
	if out, err := program(t, "cleanup", "--config", path).CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

func TestASecondCloudOnTheSameStateIsRefused(t *testing.T) {
	path, _, url := config(t)
	serveProgram(t, path, url)
	out, err := program(t, "serve", "--config", path).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "stateDir") {
		t.Errorf("got %v: %s", err, out)
	}
}

func TestAWrongConfigurationIsNamed(t *testing.T) {
	for name, tt := range map[string]struct{ from, to, want string }{
		"an unknown field":      {"region:", "regoin:", "regoin"},
		"a wrong listen":        {"listen: ", "listen: nowhere#", "listen"},
		"a relative directory":  {"stateDir: /", "stateDir: ", "stateDir"},
		"a wrong profile":       {"profile: default", "profile: slow", "realistic"},
		"a wrong CIDR":          {"172.30.0.0/24", "172.30.0.0", "172.30.0.0"},
		"a missing network":     {"externalNetwork: public", "externalNetwork: nope", `"nope"`},
		"an unknown project":    {"projects: [demo]", "projects: [x]", `users[0].projects[0]: there is no project "x"`},
		"a number with a unit":  {"gigabytes: 20000", "gigabytes: 20T", "gigabytes"},
		"a wrong token life":    {"tokenLifetime: 4h", "tokenLifetime: 4", "1.5s"},
		"a password that is no": {"password: demo", "password: ''", "users[0]"},
	} {
		path, _, _ := config(t)
		replace(t, path, tt.from, tt.to)
		out, err := program(t, "serve", "--config", path).CombinedOutput()
		if err == nil || !strings.Contains(string(out), tt.want) || strings.Contains(string(out), "panic") {
			t.Errorf("%s: got %v: %s", name, err, out)
		}
	}
}

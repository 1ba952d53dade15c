package compute

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/fairlead-io/fairlead/pkg/devcloud/api"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine/blockstorage"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine/compute"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine/network"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// tokens are the projects' names.
type tokens struct{}

func (tokens) Caller(token string) (api.Caller, bool) {
	return api.Caller{UserID: "u", ProjectID: token}, token != ""
}

// nova is a compute API over an engine whose operations take no time.
type nova struct {
	*testing.T
	http.Handler
	e       *engine.Engine
	volumes *blockstorage.Service
	compute *compute.Service
}

func newNova(t *testing.T) nova {
	t.Helper()
	e, err := engine.New(engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	n, err := network.New(e, network.DefaultQuota())
	if err != nil {
		t.Fatal(err)
	}
	v, err := blockstorage.New(e, blockstorage.NullDisks{}, blockstorage.Options{
		Types: []blockstorage.Type{{ID: "t", Name: "t"}}, Zones: []string{"z"}, Quota: blockstorage.Quota{Volumes: -1, Gigabytes: -1},
	})
	if err != nil {
		t.Fatal(err)
	}
	c, err := compute.New(e, v, n, compute.NullHost(), compute.Options{
		Flavors: []compute.Flavor{{ID: "1", Name: "small", VCPUs: 1, RAMMiB: 1024}, {ID: "2", Name: "large", VCPUs: 8, RAMMiB: 8192}},
		Zones:   []string{"z"}, Quota: compute.Quota{Instances: 2, Cores: 7, RAMMiB: -1, VolumesPerServer: 1},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Update(func(tx *engine.Tx) error {
		return n.Seed(tx, network.Config{Networks: []network.NetworkConfig{{
			Name: "lab", Subnets: []network.SubnetConfig{{Name: "lab", CIDR: netip.MustParsePrefix("10.200.0.0/24")}},
		}}}, "mine")
	}); err != nil {
		t.Fatal(err)
	}
	return nova{t, New(api.NewCore(tokens{}, "http://cloud", nil), e, c), e, v, c}
}

func (n nova) call(method, path, body string, headers ...string) *httptest.ResponseRecorder {
	n.Helper()
	r := httptest.NewRequestWithContext(n.Context(), method, path, strings.NewReader(body))
	r.Header.Set("X-Auth-Token", "mine")
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	n.ServeHTTP(w, r)
	return w
}

// settle runs the engine until it has nothing to do for any of the keys.
func (n nova) settle(keys ...string) {
	n.Helper()
	ctx, cancel := context.WithTimeout(n.Context(), 20*time.Second)
	var running sync.WaitGroup
	running.Go(func() { _ = n.e.Run(ctx) })
	defer running.Wait()
	defer cancel()
	for pending := true; pending; time.Sleep(time.Millisecond) {
		if ctx.Err() != nil {
			n.Fatalf("%v did not settle", keys)
		}
		pending = false
		_ = n.e.View(func(tx *engine.Tx) error {
			for _, key := range keys {
				pending = pending || n.e.Pending(tx, key)
			}
			return nil
		})
	}
}

// server makes a server that is still being built.
func (n nova) server(name string) (id string) {
	n.Helper()
	w := n.call("POST", "/v2.1/servers", `{"server":{"name":"`+name+`","flavorRef":"1"}}`)
	var answer struct{ Server struct{ ID string } }
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || w.Code != 202 {
		n.Fatalf("create: %d %s", w.Code, w.Body)
	}
	return answer.Server.ID
}

// volume makes a volume of that project that is available.
func (n nova) volume(project string) (id string) {
	n.Helper()
	err := n.e.Update(func(tx *engine.Tx) error {
		v, err := n.volumes.Create(tx, blockstorage.Spec{ProjectID: project, SizeGiB: 1})
		id = v.ID
		return err
	})
	if err != nil {
		n.Fatal(err)
	}
	n.settle(id)
	return id
}

// refusal is a request and how it is refused.
type refusal struct {
	name, method, path, body string
	want                     int
	fault, says              string
}

func (n nova) refuses(tests []refusal) {
	n.Helper()
	for _, tt := range tests {
		w := n.call(tt.method, tt.path, tt.body)
		var answer map[string]struct {
			Code    int
			Message string
		}
		if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
			n.Errorf("%s: %d %s: %v", tt.name, w.Code, w.Body, err)
			continue
		}
		if got := answer[tt.fault]; w.Code != tt.want || got.Code != tt.want || !strings.Contains(got.Message, tt.says) {
			n.Errorf("%s: %d %s, want %d %s %q", tt.name, w.Code, w.Body, tt.want, tt.fault, tt.says)
		}
	}
}

const unknown = "00000000-0000-0000-0000-000000000000"

func TestServersAreRefused(t *testing.T) {
	t.Parallel()
	n := newNova(t)
	create := func(attributes string) string { return `{"server":{"name":"x","flavorRef":"1",` + attributes + `}}` }
	many := make(map[string]string, 129)
	for i := range 129 {
		many[fmt.Sprint("k", i)] = ""
	}
	tooMany, err := json.Marshal(many)
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("x", 256)
	n.refuses([]refusal{
		{"no JSON", "POST", "/v2.1/servers", `{`, 400, "badRequest", "Malformed"},
		{"no server", "POST", "/v2.1/servers", `{}`, 400, "badRequest", "'server' is a required property"},
		{"a wrong type", "POST", "/v2.1/servers", `{"server":{"name":5}}`, 400, "badRequest", "name"},
		{"no name", "POST", "/v2.1/servers", `{"server":{"name":" ","flavorRef":"1"}}`, 400, "badRequest", "name"},
		{"a long name", "POST", "/v2.1/servers", `{"server":{"name":"` + long + `","flavorRef":"1"}}`, 400, "badRequest", "name"},
		{"several at once", "POST", "/v2.1/servers", create(`"max_count":2`), 400, "badRequest", "max_count"},
		{"a long value", "POST", "/v2.1/servers", create(`"metadata":{"k":"` + long + `"}`), 400, "badRequest", "too long"},
		{"an empty key", "POST", "/v2.1/servers", create(`"metadata":{"":"v"}`), 400, "badRequest", "metadata"},
		{"too much metadata", "POST", "/v2.1/servers", create(`"metadata":` + string(tooMany)), 403, "forbidden", "128"},
		{"networks of no shape", "POST", "/v2.1/servers", create(`"networks":"some"`), 400, "badRequest", "networks"},
		{"an unknown network", "POST", "/v2.1/servers", create(`"networks":[{"uuid":"` + unknown + `"}]`), 400, "badRequest", unknown},
		{"an unknown port", "POST", "/v2.1/servers", create(`"networks":[{"port":"` + unknown + `"}]`), 400, "badRequest", unknown},
		{"an unknown group", "POST", "/v2.1/servers", create(`"security_groups":[{"name":"web"}]`), 400, "badRequest", "web"},
		{"an unknown zone", "POST", "/v2.1/servers", create(`"availability_zone":"y"`), 400, "badRequest", "zone"},
		{"an unknown flavor", "POST", "/v2.1/servers", `{"server":{"name":"x","flavorRef":"http://cloud/flavors/9"}}`, 400, "badRequest", "Flavor 9"},
		{"more cores than the quota", "POST", "/v2.1/servers", `{"server":{"name":"x","flavorRef":"2"}}`, 403, "forbidden", "cores"},
		{"an update without a server", "PUT", "/v2.1/servers/" + unknown, `{}`, 400, "badRequest", "server"},
		{"an update of none", "PUT", "/v2.1/servers/" + unknown, `{"server":{"name":"y"}}`, 404, "itemNotFound", unknown},
		{"none", "GET", "/v2.1/servers/" + unknown, ``, 404, "itemNotFound", unknown},
		{"the addresses of none", "GET", "/v2.1/servers/" + unknown + "/ips", ``, 404, "itemNotFound", unknown},
		{"the metadata of none", "GET", "/v2.1/servers/" + unknown + "/metadata", ``, 404, "itemNotFound", unknown},
		{"deleting none", "DELETE", "/v2.1/servers/" + unknown, ``, 404, "itemNotFound", unknown},
		{"a name that is no pattern", "GET", "/v2.1/servers?name=(", ``, 400, "badRequest", "name"},
		{"a limit that is no number", "GET", "/v2.1/servers?limit=x", ``, 400, "badRequest", "limit"},
		{"a negative limit", "GET", "/v2.1/servers/detail?limit=-1", ``, 400, "badRequest", "limit"},
		{"a marker that is gone", "GET", "/v2.1/servers?marker=" + unknown, ``, 400, "badRequest", "marker"},
		{"an unknown flavor's page", "GET", "/v2.1/flavors?marker=9", ``, 400, "badRequest", "marker"},
		{"an unknown flavor", "GET", "/v2.1/flavors/9", ``, 404, "itemNotFound", "Flavor 9"},
		{"an unknown flavor's specs", "GET", "/v2.1/flavors/9/os-extra_specs", ``, 404, "itemNotFound", "Flavor 9"},
		{"the machines of a zone", "GET", "/v2.1/os-availability-zone/detail", ``, 403, "forbidden", "os-availability-zone:detail"},
		{"another project's quota", "GET", "/v2.1/os-quota-sets/theirs", ``, 403, "forbidden", "os-quota-sets:show"},
	})
	n.server("first")
	n.server("second")
	n.refuses([]refusal{{"one more than the quota", "POST", "/v2.1/servers", `{"server":{"name":"x","flavorRef":"1"}}`, 403, "forbidden", "instances"}})
}

func TestActionsAreRefusedInTheWrongState(t *testing.T) {
	t.Parallel()
	n := newNova(t)
	id, volume := n.server("n1"), n.volume("mine")
	at := "/v2.1/servers/" + id
	attach := `{"volumeAttachment":{"volumeId":"` + volume + `"}}`
	// A volume settles by running the engine, which builds the server too: a second one is still being built.
	building := "/v2.1/servers/" + n.server("n2")
	n.refuses([]refusal{
		{"stopping what is being built", "POST", building + "/action", `{"os-stop":null}`, 409, "conflictingRequest", "task_state spawning"},
		{"attaching to what is being built", "POST", building + "/os-volume_attachments", attach, 409, "conflictingRequest", "attach_volume"},
		{"plugging into what is being built", "POST", building + "/os-interface", `{}`, 409, "conflictingRequest", "attach_interface"},
		{"starting what runs", "POST", at + "/action", `{"os-start":null}`, 409, "conflictingRequest", "vm_state active"},
		{"an action that is not here", "POST", at + "/action", `{"reboot":{"type":"HARD"}}`, 400, "badRequest", "reboot"},
		{"no action", "POST", at + "/action", `{}`, 400, "badRequest", "Malformed"},
		{"metadata of a wrong type", "POST", at + "/metadata", `{"metadata":{"k":1}}`, 400, "badRequest", "metadata"},
		{"no metadata", "POST", at + "/metadata", `{}`, 400, "badRequest", "'metadata' is a required property"},
		{"becoming a node", "POST", at + "/metadata", `{"metadata":{"` + compute.NodeKey + `":"1"}}`, 400, "badRequest", compute.NodeKey},
	})
	for i := range compute.MaxMetadata { // one by one: what counts is what comes of it
		if w := n.call("POST", at+"/metadata", fmt.Sprintf(`{"metadata":{"k%d":"v"}}`, i)); w.Code != 200 {
			t.Fatalf("metadata %d: %d %s", i, w.Code, w.Body)
		}
	}
	n.refuses([]refusal{
		{"one pair too many", "POST", at + "/metadata", `{"metadata":{"more":"v"}}`, 403, "forbidden", "128"},
	})
	if w := n.call("POST", at+"/action", `{"os-stop":null}`); w.Code != 202 {
		t.Fatalf("stop: %d %s", w.Code, w.Body)
	}
	n.refuses([]refusal{
		{"stopping what is stopping", "POST", at + "/action", `{"os-stop":null}`, 409, "conflictingRequest", "powering-off"},
		{"detaching meanwhile", "DELETE", at + "/os-volume_attachments/" + volume, ``, 409, "conflictingRequest", "detach_volume"},
	})
	n.settle(id)
	n.refuses([]refusal{{"stopping what is stopped", "POST", at + "/action", `{"os-stop":null}`, 409, "conflictingRequest", "vm_state stopped"}})
	if w := n.call("GET", at, "", "X-Auth-Token", "theirs"); w.Code != 404 {
		t.Errorf("another project sees the server: %d %s", w.Code, w.Body)
	}
}

func TestAttachmentsAndInterfacesAreRefused(t *testing.T) {
	t.Parallel()
	n := newNova(t)
	id, mine, second, theirs := n.server("n1"), n.volume("mine"), n.volume("mine"), n.volume("theirs")
	n.settle(id)
	at := "/v2.1/servers/" + id
	volumes := at + "/os-volume_attachments"
	attach := func(volume string) string { return `{"volumeAttachment":{"volumeId":"` + volume + `"}}` }
	n.refuses([]refusal{
		{"no attachment", "POST", volumes, `{}`, 400, "badRequest", "'volumeAttachment' is a required property"},
		{"no volume", "POST", volumes, `{"volumeAttachment":{}}`, 400, "badRequest", "'volumeId' is a required property"},
		{"an unknown volume", "POST", volumes, attach(unknown), 404, "itemNotFound", "Volume " + unknown},
		{"another project's volume", "POST", volumes, attach(theirs), 404, "itemNotFound", "Volume " + theirs},
		{"an unknown server", "POST", "/v2.1/servers/" + unknown + "/os-volume_attachments", attach(mine), 404, "itemNotFound", "Instance " + unknown},
		{"a volume that is not here", "GET", volumes + "/" + mine, ``, 404, "itemNotFound", "is not attached to volume " + mine},
		{"detaching what is not here", "DELETE", volumes + "/" + mine, ``, 404, "itemNotFound", "is not attached to volume " + mine},
		{"the attachments of no server", "GET", "/v2.1/servers/" + unknown + "/os-volume_attachments", ``, 404, "itemNotFound", unknown},
		{"the interfaces of no server", "GET", "/v2.1/servers/" + unknown + "/os-interface", ``, 404, "itemNotFound", unknown},
		{"an interface on an unknown network", "POST", at + "/os-interface", `{"interfaceAttachment":{"net_id":"` + unknown + `"}}`, 400, "badRequest", unknown},
		{"an interface on an unknown port", "POST", at + "/os-interface", `{"interfaceAttachment":{"port_id":"` + unknown + `"}}`, 400, "badRequest", unknown},
		{"an interface of no shape", "POST", at + "/os-interface", `[]`, 400, "badRequest", ""},
		{"a port that is not here", "GET", at + "/os-interface/" + unknown, ``, 404, "itemNotFound", unknown},
		{"removing a port that is not here", "DELETE", at + "/os-interface/" + unknown, ``, 404, "itemNotFound", unknown},
	})
	if w := n.call("POST", volumes, attach(mine)); w.Code != 200 {
		t.Fatalf("attach: %d %s", w.Code, w.Body)
	}
	n.settle(mine)
	n.refuses([]refusal{
		{"a volume twice", "POST", volumes, attach(mine), 400, "badRequest", "already attached to instances: " + id},
		{"more volumes than a server may have", "POST", volumes, attach(second), 403, "forbidden", "(1)"},
		{"a tag for the device", "POST", volumes, `{"volumeAttachment":{"volumeId":"` + second + `","tag":"x"}}`, 400, "badRequest", "tag"},
	})
	if seen := n.e.Violations(); len(seen) > 0 {
		t.Errorf("violations %+v", seen)
	}
}

func TestMicroversionsOfCompute(t *testing.T) {
	t.Parallel()
	n := newNova(t)
	for _, tt := range []struct {
		header, version string
		want            int
		announced       string
	}{
		{"X-Nothing", "", 200, "2.1"},
		{"Openstack-Api-Version", "compute 2.79", 200, "2.79"},
		{"Openstack-Api-Version", "volume 3.59", 200, "2.1"},
		{"Openstack-Api-Version", "volume 3.59, compute 2.60", 200, "2.60"},
		{"Openstack-Api-Version", "compute latest", 200, "2.93"},
		{"X-Openstack-Nova-Api-Version", "2.47", 200, "2.47"},
		{"Openstack-Api-Version", "compute 2.999", 406, "2.999"},
		{"Openstack-Api-Version", "compute two", 400, ""},
	} {
		if tt.announced != "" {
			tt.announced = "compute " + tt.announced
		}
		w := n.call("GET", "/v2.1/servers", "", tt.header, tt.version)
		if w.Code != tt.want || w.Header().Get("Openstack-Api-Version") != tt.announced {
			t.Errorf("%s %s: %d %v", tt.header, tt.version, w.Code, w.Header())
		}
	}
}

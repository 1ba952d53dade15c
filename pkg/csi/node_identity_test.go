package csi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/client-go/rest"
)

// fixedSource always says the same.
type fixedSource struct {
	name string
	id   NodeIdentity
	err  error
}

func (s fixedSource) Name() string                                   { return s.name }
func (s fixedSource) Identity(context.Context) (NodeIdentity, error) { return s.id, s.err }

func TestTheFirstSourceThatKnowsWins(t *testing.T) {
	down := errors.New("connection refused")
	for _, tc := range []struct {
		name    string
		sources []IdentitySource
		want    NodeIdentity
		says    string // of the error
	}{
		{"the first knows all", []IdentitySource{
			fixedSource{"node", NodeIdentity{"a", "az1"}, nil}, fixedSource{"metadata", NodeIdentity{"b", "az2"}, nil},
		}, NodeIdentity{"a", "az1"}, ""},
		{"the first is down", []IdentitySource{
			fixedSource{"node", NodeIdentity{}, down}, fixedSource{"metadata", NodeIdentity{"b", "az2"}, nil},
		}, NodeIdentity{"b", "az2"}, ""},
		{"the first knows nothing yet", []IdentitySource{
			fixedSource{"node", NodeIdentity{}, nil}, fixedSource{"metadata", NodeIdentity{"b", "az2"}, nil},
		}, NodeIdentity{"b", "az2"}, ""},
		{"instance from the first, zone from the second", []IdentitySource{
			fixedSource{"dmi", NodeIdentity{"a", ""}, nil}, fixedSource{"metadata", NodeIdentity{"b", "az2"}, nil},
		}, NodeIdentity{"a", "az2"}, ""},
		{"zone by a label set by hand, instance from the metadata service with its own zone", []IdentitySource{
			fixedSource{"node", NodeIdentity{"", "az1"}, nil}, fixedSource{"metadata", NodeIdentity{"b", "az2"}, nil},
		}, NodeIdentity{"b", "az2"}, ""},
		{"no zone anywhere", []IdentitySource{
			fixedSource{"metadata", NodeIdentity{}, down}, fixedSource{"dmi", NodeIdentity{"a", ""}, nil},
		}, NodeIdentity{}, `metadata: connection refused; dmi: instance "a", zone ""`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := NewNodeIdentifier(tc.sources...).Identify(t.Context())
			if tc.says == "" && err != nil || tc.says != "" && (!errors.Is(err, errIdentityUnknown) || !strings.Contains(err.Error(), tc.says)) {
				t.Errorf("error %v, want %q", err, tc.says)
			}
			if got != tc.want {
				t.Errorf("identity %+v, want %+v", got, tc.want)
			}
		})
	}
}

func TestAnIdentityOnceKnownIsNotAskedForAgain(t *testing.T) {
	answers := []NodeIdentity{{}, {"a", "az1"}, {"other", "other"}}
	asked := 0
	n := NewNodeIdentifier(sourceFunc(func(context.Context) (NodeIdentity, error) {
		asked++
		return answers[asked-1], nil
	}))
	if _, err := n.Identify(t.Context()); !errors.Is(err, errIdentityUnknown) {
		t.Errorf("error %v", err)
	}
	for range 3 {
		if id, err := n.Identify(t.Context()); err != nil || id != answers[1] {
			t.Errorf("identity %+v, %v", id, err)
		}
	}
	if asked != 2 {
		t.Errorf("asked %d times, want 2", asked)
	}
}

type sourceFunc func(ctx context.Context) (NodeIdentity, error)

func (f sourceFunc) Name() string                                       { return "func" }
func (f sourceFunc) Identity(ctx context.Context) (NodeIdentity, error) { return f(ctx) }

func TestASourceThatDoesNotAnswerLeavesTimeForTheNext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	hangs := sourceFunc(func(ctx context.Context) (NodeIdentity, error) {
		if _, bounded := ctx.Deadline(); !bounded {
			t.Error("the source was asked without a deadline")
		}
		cancel() // stands for the deadline
		<-ctx.Done()
		return NodeIdentity{}, ctx.Err()
	})
	id, err := NewNodeIdentifier(hangs, fixedSource{"metadata", NodeIdentity{"b", "az2"}, nil}).Identify(ctx)
	if err != nil || id.InstanceID != "b" {
		t.Errorf("identity %+v, %v", id, err)
	}
}

func TestConfiguredSourcesKeepTheirOrderAndUnknownOnesAreNamed(t *testing.T) {
	available := []IdentitySource{fixedSource{name: SourceNode}, fixedSource{name: SourceMetadata}, fixedSource{name: SourceDMI}}
	got, err := ConfiguredIdentitySources([]string{"dmi", "node"}, available...)
	if err != nil || len(got) != 2 || got[0].Name() != "dmi" || got[1].Name() != "node" {
		t.Errorf("sources %v, %v", got, err)
	}
	_, err = ConfiguredIdentitySources([]string{"node", "metdata"}, available...)
	if err == nil || !strings.Contains(err.Error(), `"metdata": allowed are node, metadata, dmi`) {
		t.Errorf("error %v", err)
	}
	if _, err := ConfiguredIdentitySources(nil, available...); err == nil {
		t.Error("no source at all: want an error")
	}
}

func TestInstanceOfProviderID(t *testing.T) {
	for providerID, want := range map[string]string{
		"":                                    "",
		"openstack:///8a3f1c52":               "8a3f1c52",
		"openstack://RegionOne/8a3f1c52":      "8a3f1c52",
		"openstack:///":                       "error",
		"openstack://8a3f1c52":                "error",
		"openstack:///8a3f1c52/x":             "error",
		"aws:///eu-west-1/i-0123456789abcdef": "error",
		"8a3f1c52":                            "error",
	} {
		got, err := instanceOfProviderID(providerID)
		if want == "error" {
			if err == nil || !strings.Contains(err.Error(), providerID) {
				t.Errorf("%q: %q, %v, want an error that names it", providerID, got, err)
			}
			continue
		}
		if err != nil || got != want {
			t.Errorf("%q: %q, %v, want %q", providerID, got, err, want)
		}
	}
}

func TestTheNodeObjectTellsInstanceAndZone(t *testing.T) {
	nodes := map[string]string{
		"/api/v1/nodes/n1": `{"kind":"Node","metadata":{"name":"n1","labels":{"topology.kubernetes.io/zone":"az1"}},"spec":{"providerID":"openstack:///server-1"}}`,
		"/api/v1/nodes/n2": `{"kind":"Node","metadata":{"name":"n2"},"spec":{"taints":[{"key":"node.cloudprovider.kubernetes.io/uninitialized"}]}}`,
		"/api/v1/nodes/n3": `{"kind":"Node","spec":{"providerID":"kind://docker/n3/n3/x"}}`,
		"/api/v1/nodes/n4": `<html>`,
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer of-the-service-account" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		body, ok := nodes[r.URL.Path]
		if !ok {
			w.WriteHeader(http.StatusNotFound)
		}
		_, _ = fmt.Fprint(w, body)
	}))
	defer server.Close()
	for _, tc := range []struct {
		name, node string
		want       NodeIdentity
		says       string
	}{
		{"initialised by a cloud controller manager", "n1", NodeIdentity{"server-1", "az1"}, ""},
		{"not initialised yet", "n2", NodeIdentity{}, ""},
		{"a node of another provider", "n3", NodeIdentity{}, "kind://"},
		{"an answer that is no Node", "n4", NodeIdentity{}, "/api/v1/nodes/n4"},
		{"not registered yet", "n5", NodeIdentity{}, "HTTP 404"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, err := NodeObjectSource(&rest.Config{Host: server.URL, BearerToken: "of-the-service-account"}, tc.node)
			if err != nil {
				t.Fatal(err)
			}
			got, err := s.Identity(t.Context())
			checkIdentity(t, got, err, tc.want, tc.says)
		})
	}
	if _, err := NodeObjectSource(&rest.Config{Host: server.URL}, ""); err == nil {
		t.Error("without a node name: want an error")
	}
}

func checkIdentity(t *testing.T, got NodeIdentity, err error, want NodeIdentity, says string) {
	t.Helper()
	if (err != nil) != (says != "") || err != nil && !strings.Contains(err.Error(), says) {
		t.Errorf("error %v, want %q", err, says)
	}
	if got != want {
		t.Errorf("identity %+v, want %+v", got, want)
	}
}

// metaData is the metadata service's document, shortened.
const metaData = `{"uuid": "server-1", "hostname": "n1.novalocal", "name": "n1", "launch_index": 0,
	"availability_zone": "az1", "project_id": "p", "devices": [], "meta": {"lab.fairlead.io:node": ""}}`

func TestTheMetadataServiceTellsInstanceAndZone(t *testing.T) {
	var code int
	var body string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/openstack/latest/meta_data.json" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		w.WriteHeader(code)
		_, _ = fmt.Fprint(w, body)
	}))
	defer server.Close()
	s := MetadataSource(server.URL + "/")
	for _, tc := range []struct {
		name string
		code int
		body string
		want NodeIdentity
		says string
	}{
		{"as it should be", 200, metaData, NodeIdentity{"server-1", "az1"}, ""},
		{"not ready", 503, "", NodeIdentity{}, "HTTP 503"},
		{"another server's page", 200, "<html>", NodeIdentity{}, "meta_data.json"},
		{"without a zone", 200, `{"uuid":"server-1"}`, NodeIdentity{"server-1", ""}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			code, body = tc.code, tc.body
			got, err := s.Identity(t.Context())
			checkIdentity(t, got, err, tc.want, tc.says)
		})
	}
	server.Close()
	if _, err := s.Identity(t.Context()); err == nil {
		t.Error("nobody listens: want an error")
	}
}

// drive is a config drive with one file, or none.
type drive map[string]string

func (d drive) ReadFromLabel(_ context.Context, label, file string) ([]byte, error) {
	content, ok := d[label+":"+file]
	if !ok {
		return nil, os.ErrNotExist
	}
	return []byte(content), nil
}

func TestTheConfigDriveTellsInstanceAndZone(t *testing.T) {
	got, err := ConfigDriveSource(drive{"config-2:openstack/latest/meta_data.json": metaData}).Identity(t.Context())
	checkIdentity(t, got, err, NodeIdentity{"server-1", "az1"}, "")
	_, err = ConfigDriveSource(drive{}).Identity(t.Context())
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no drive: %v", err)
	}
	var syntax *json.SyntaxError
	if _, err = ConfigDriveSource(drive{"config-2:openstack/latest/meta_data.json": "?"}).Identity(t.Context()); !errors.As(err, &syntax) {
		t.Errorf("not JSON: %v", err)
	}
}

func TestTheFirmwareIsBelievedOnlyOnANovaInstance(t *testing.T) {
	for _, tc := range []struct {
		name  string
		files map[string]string
		want  NodeIdentity
		says  string
	}{
		{"Nova", map[string]string{"sys_vendor": "OpenStack Foundation\n", "product_name": "OpenStack Nova\n", "product_uuid": "8A3F1C52-4C1E-4D5B-9F1A-2B6C7D8E9F00\n"},
			NodeIdentity{InstanceID: "8a3f1c52-4c1e-4d5b-9f1a-2b6c7d8e9f00"}, ""},
		{"a distributor's Nova", map[string]string{"sys_vendor": "RDO", "product_name": "OpenStack Compute", "product_uuid": "8a3f"},
			NodeIdentity{InstanceID: "8a3f"}, ""},
		{"a plain virtual machine", map[string]string{"sys_vendor": "QEMU", "product_uuid": "8a3f"}, NodeIdentity{}, `vendor "QEMU"`},
		{"no firmware tables", nil, NodeIdentity{}, "not a Nova instance"},
		{"Nova without an id", map[string]string{"sys_vendor": "OpenStack Foundation"}, NodeIdentity{}, "product_uuid"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			id := filepath.Join(dir, "class", "dmi", "id")
			if err := os.MkdirAll(id, 0o755); err != nil {
				t.Fatal(err)
			}
			for name, content := range tc.files {
				if err := os.WriteFile(filepath.Join(id, name), []byte(content), 0o444); err != nil {
					t.Fatal(err)
				}
			}
			got, err := DMISource(dir).Identity(t.Context())
			checkIdentity(t, got, err, tc.want, tc.says)
		})
	}
}

package openstack

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fairlead-io/fairlead/pkg/cloud"
)

const (
	volumesPath = "/volume/v3/" + project + "/volumes"
	volumeID    = "cbb4dce7-376a-4025-a47f-c461260b5a5e"
	serverID    = "923de0fa-0d8d-42f5-9164-cb2bc44882ac"
)

func TestCreateDiskSendsIdentityAndSize(t *testing.T) {
	f := newFakeCloud(t)
	f.on("POST "+volumesPath, sample(t, "cinder-volume-create"))
	c := connect(t, f)
	d, err := c.CreateDisk(t.Context(), cloud.DiskSpec{
		Name: "pvc-1", SizeGiB: 1, Type: "standard", Zone: "az1", Metadata: map[string]string{"fairlead.io/cluster": "u1"},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := `{"volume":{"name":"pvc-1","size":1,"volume_type":"standard","availability_zone":"az1","metadata":{"fairlead.io/cluster":"u1"}}}`
	if got := f.last().body; !sameJSON(t, got, want) {
		t.Errorf("sent %s", got)
	}
	if d.ID != volumeID || d.State != cloud.DiskCreating || d.SizeGiB != 1 || d.Zone != "az1" || d.Type != "standard" {
		t.Errorf("got %+v", d)
	}
}

func TestGetDiskTranslatesAnAttachedVolume(t *testing.T) {
	f := newFakeCloud(t)
	f.on("GET "+volumesPath+"/"+volumeID, sample(t, "cinder-volume-in-use"))
	d, err := connect(t, f).GetDisk(t.Context(), volumeID)
	if err != nil {
		t.Fatal(err)
	}
	want := cloud.Disk{
		ID: volumeID, Name: "pvc-1", SizeGiB: 1, Type: "standard", Zone: "az1", State: cloud.DiskAttached, RawState: "in-use",
		Metadata:    map[string]string{"cinder.csi.openstack.org/cluster": "kubernetes"},
		Attachments: []cloud.Attachment{{DiskID: volumeID, InstanceID: serverID, Device: "/dev/sdb"}},
		CreatedAt:   time.Date(2026, 11, 22, 15, 24, 5, 0, time.UTC),
	}
	if diff := cmp.Diff(want, d); diff != "" {
		t.Error(diff)
	}
	if !d.AttachedTo(serverID) {
		t.Error("AttachedTo says no")
	}
}

func TestDiskStates(t *testing.T) {
	for status, want := range map[string]cloud.DiskState{
		"reserved": cloud.DiskAttaching, "attaching": cloud.DiskAttaching, "detaching": cloud.DiskDetaching,
		"error": cloud.DiskError, "error_deleting": cloud.DiskError, "error_extending": cloud.DiskError,
		"maintenance": cloud.DiskUnknown, "awaiting-transfer": cloud.DiskUnknown, "retyping": cloud.DiskBusy, "": cloud.DiskUnknown,
	} {
		if got := diskState(status); got != want {
			t.Errorf("%q is %s, want %s", status, got, want)
		}
	}
}

func TestADiskThatIsOnItsWayComesWithTheOperatorsCommandShouldItStayThere(t *testing.T) {
	attached := []volumeAttachment{{ServerID: serverID}}
	for name, tc := range map[string]struct {
		volume volume
		want   string // after "openstack volume set --state "
	}{
		"at rest":                                  {volume{Status: "available"}, ""},
		"in use":                                   {volume{Status: "in-use", Attachments: attached}, ""},
		"reserved for nobody":                      {volume{Status: "reserved"}, "available --detached"},
		"attaching":                                {volume{Status: "attaching"}, "available --detached"},
		"detaching, so that we detach once more":   {volume{Status: "detaching", Attachments: attached}, "in-use --attached"},
		"extending while in use":                   {volume{Status: "extending", Attachments: attached}, "in-use --attached"},
		"an extension that failed":                 {volume{Status: "error_extending"}, "available --detached"},
		"a deletion that failed, so that it goes":  {volume{Status: "error_deleting"}, "error"},
		"creating, so that we clear it away":       {volume{Status: "creating"}, "error"},
		"deleting, so that we delete once more":    {volume{Status: "deleting"}, "error"},
		"available, but shown as attached":         {volume{Status: "available", Attachments: attached}, "in-use --attached"},
		"in use by nobody":                         {volume{Status: "in-use"}, "available --detached"},
		"a backup, which may take hours":           {volume{Status: "backing-up"}, ""},
		"something that we do not know":            {volume{Status: "awaiting-transfer"}, ""},
		"in use by a bare host, which is not ours": {volume{Status: "in-use", Attachments: []volumeAttachment{{}}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			tc.volume.ID = volumeID
			want := ""
			if tc.want != "" {
				want = "openstack volume set --state " + tc.want + " " + volumeID
			}
			if got := tc.volume.disk().Repair; got != want {
				t.Errorf("repaired by %q, want %q", got, want)
			}
		})
	}
}

func TestADiskOnAHostThatIsNoServerIsInUse(t *testing.T) {
	d := volume{ID: volumeID, Status: "in-use", Attachments: []volumeAttachment{{HostName: "storage-7"}}}.disk()
	if len(d.Attachments) != 1 || !strings.Contains(d.Attachments[0].InstanceID, "storage-7") || d.AttachedTo("") {
		t.Errorf("%+v", d)
	}
}

func TestListDisksFollowsPagesAndFiltersWhatTheCloudDidNot(t *testing.T) {
	f := newFakeCloud(t)
	page := func(next string, names ...string) http.Handler {
		var items []string
		for _, n := range names {
			items = append(items, `{"id":"`+n+`","name":"`+n+`","status":"available","metadata":{"fairlead.io/cluster":"`+strings.Split(n, "-")[0]+`"}}`)
		}
		links := ""
		if next != "" {
			links = `,"volumes_links":[{"rel":"next","href":"http://internal.example:8776/v3/p/volumes/detail?limit=2&marker=` + next + `"}]`
		}
		return answer(200, `{"volumes":[`+strings.Join(items, ",")+`]`+links+`}`)
	}
	f.on("GET "+volumesPath+"/detail", page("u2-b", "u1-a", "u2-b"), page("", "u1-c"))
	disks, err := connect(t, f).ListDisks(t.Context(), cloud.DiskFilter{Metadata: map[string]string{"fairlead.io/cluster": "u1"}})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, d := range disks {
		names = append(names, d.Name)
	}
	if !slices.Equal(names, []string{"u1-a", "u1-c"}) {
		t.Errorf("got %v", names)
	}
	filter := "metadata=" + url.QueryEscape("{'fairlead.io/cluster':'u1'}")
	want := []string{
		"GET " + volumesPath + "/detail?" + filter,
		"GET " + volumesPath + "/detail?limit=2&marker=u2-b&" + filter,
	}
	for i, call := range f.calls() {
		path, query, _ := strings.Cut(call, "?")
		wantPath, wantQuery, _ := strings.Cut(want[i], "?")
		got, _ := url.ParseQuery(query)
		expected, _ := url.ParseQuery(wantQuery)
		if path != wantPath || !cmp.Equal(got, expected) {
			t.Errorf("call %d is %s, want %s", i, call, want[i])
		}
	}
}

func TestPythonDictQuotesWhatItMust(t *testing.T) {
	got := pythonDict(map[string]string{"b": `it's`, "a": `c:\d`})
	if got != `{'a':'c:\\d','b':'it\'s'}` {
		t.Errorf("got %s", got)
	}
}

func TestARefusalThatCinderDoesNotExplainIsExplainedByTheState(t *testing.T) {
	refused := sample(t, "cinder-err-delete-in-use") // 400, whatever the reason
	get := func(status, attachments string) http.Handler {
		return answer(200, `{"volume":{"id":"`+volumeID+`","status":"`+status+`","size":2,"attachments":[`+attachments+`]}}`)
	}
	path := volumesPath + "/" + volumeID
	attached := `{"server_id":"s1"}`
	tests := []struct {
		name  string
		call  func(*Cloud) error
		state http.Handler
		want  error
	}{
		{"delete of an attached disk", func(c *Cloud) error { return c.DeleteDisk(t.Context(), volumeID) }, get("in-use", attached), cloud.ErrConflict},
		{"delete of a disk on its way", func(c *Cloud) error { return c.DeleteDisk(t.Context(), volumeID) }, get("attaching", ""), cloud.ErrBusy},
		{"delete of a disk with snapshots", func(c *Cloud) error { return c.DeleteDisk(t.Context(), volumeID) }, get("available", ""), cloud.ErrConflict},
		{"delete of a disk that went meanwhile", func(c *Cloud) error { return c.DeleteDisk(t.Context(), volumeID) }, sample(t, "cinder-err-404"), cloud.ErrNotFound},
		{"delete of a disk that cannot be read", func(c *Cloud) error { return c.DeleteDisk(t.Context(), volumeID) }, answer(500, ""), cloud.ErrBusy},
		{"extend to the same size", func(c *Cloud) error { return c.ExtendDisk(t.Context(), volumeID, 2) }, get("available", ""), cloud.ErrInvalid},
		{"extend of a disk on its way", func(c *Cloud) error { return c.ExtendDisk(t.Context(), volumeID, 3) }, get("detaching", attached), cloud.ErrBusy},
		{"extend of a broken disk", func(c *Cloud) error { return c.ExtendDisk(t.Context(), volumeID, 3) }, get("error_extending", ""), cloud.ErrConflict},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFakeCloud(t)
			f.on("DELETE "+path, refused)
			f.on("POST "+path+"/action", refused)
			f.on("GET "+path, tt.state)
			if err := tt.call(connect(t, f)); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

func TestSuccessCostsOneCall(t *testing.T) {
	f := newFakeCloud(t)
	path := volumesPath + "/" + volumeID
	attachments := "/compute/v2.1/servers/" + serverID + "/os-volume_attachments"
	f.on("DELETE "+path, answer(202, ""))
	f.on("POST "+path+"/action", answer(202, ""))
	f.on("POST "+attachments, sample(t, "nova-attach"))
	f.on("DELETE "+attachments+"/"+volumeID, answer(202, ""))
	c := connect(t, f)
	for name, call := range map[string]func() error{
		"delete": func() error { return c.DeleteDisk(t.Context(), volumeID) },
		"extend": func() error { return c.ExtendDisk(t.Context(), volumeID, 3) },
		"attach": func() error { return c.AttachDisk(t.Context(), volumeID, serverID) },
		"detach": func() error { return c.DetachDisk(t.Context(), volumeID, serverID) },
	} {
		before := len(f.calls())
		if err := call(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if n := len(f.calls()) - before; n != 1 {
			t.Errorf("%s: %d calls", name, n)
		}
	}
	if h := f.last().header; f.last().path[:8] == "/compute" && h.Get("OpenStack-API-Version") != "compute 2.60" {
		t.Errorf("microversion %q", h.Get("OpenStack-API-Version"))
	}
}

func TestAnIDThatIsNoneIsRefusedBeforeItReachesThePath(t *testing.T) {
	f := newFakeCloud(t)
	c := connect(t, f)
	for _, id := range []string{"", "..", "a/b", "x?cascade=true", "#"} {
		for name, err := range map[string]error{
			"DeleteDisk":         c.DeleteDisk(t.Context(), id),
			"DeleteLoadBalancer": c.DeleteLoadBalancer(t.Context(), id),
			"DetachDisk":         c.DetachDisk(t.Context(), id, serverID),
			"DeleteFloatingIP":   c.DeleteFloatingIP(t.Context(), id),
		} {
			if !errors.Is(err, cloud.ErrInvalid) {
				t.Errorf("%s(%q): %v", name, id, err)
			}
		}
	}
	if calls := f.calls(); len(calls) != 0 {
		t.Errorf("calls %v", calls)
	}
}

func TestTypesAndZones(t *testing.T) {
	f := newFakeCloud(t)
	f.on("GET /volume/v3/"+project+"/types", sample(t, "cinder-types"))
	f.on("GET /volume/v3/"+project+"/os-availability-zone", answer(200, `{"availabilityZoneInfo":[
		{"zoneName":"az2","zoneState":{"available":true}},{"zoneName":"down","zoneState":{"available":false}},{"zoneName":"az1","zoneState":{"available":true}}]}`))
	c := connect(t, f)
	types, err := c.DiskTypes(t.Context())
	if err != nil || !slices.Contains(types, "standard") || slices.Contains(types, "__DEFAULT__") {
		t.Errorf("types %v, %v", types, err)
	}
	if zones, err := c.DiskZones(t.Context()); err != nil || !slices.Equal(zones, []string{"az1", "az2"}) {
		t.Errorf("zones %v, %v", zones, err)
	}
}

func TestADeletionThatTheCloudGaveUpIsTheOperatorsToMend(t *testing.T) {
	f := newFakeCloud(t)
	f.on("DELETE "+volumesPath+"/"+volumeID, answer(400, `{"badRequest":{"code":400,"message":"Volume status must be available or error."}}`,
		"x-openstack-request-id", "req-del"))
	c := connect(t, f)
	for status, want := range map[string]error{"error_deleting": cloud.ErrFailed, "error": cloud.ErrConflict, "error_extending": cloud.ErrConflict} {
		f.on("GET "+volumesPath+"/"+volumeID, answer(200, `{"volume":{"id":"`+volumeID+`","status":"`+status+`"}}`))
		err := c.DeleteDisk(t.Context(), volumeID)
		if !errors.Is(err, want) || !strings.Contains(err.Error(), "request req-del") {
			t.Errorf("%s: %v, want %v", status, err, want)
		}
		if says := "openstack volume set --state error " + volumeID; errors.Is(want, cloud.ErrFailed) && !strings.Contains(err.Error(), says) {
			t.Errorf("%q does not say %q", err, says)
		}
	}
}

func TestAnAcceptedRequestLeavesItsID(t *testing.T) {
	f := newFakeCloud(t)
	f.on("DELETE "+volumesPath+"/"+volumeID, answer(202, "", "x-openstack-request-id", "req-del"), answer(404, "", "x-openstack-request-id", "req-late"))
	c := connect(t, f)
	ctx, receipt := cloud.WithReceipt(t.Context())
	if err := c.DeleteDisk(ctx, volumeID); err != nil || receipt.RequestID != "req-del" {
		t.Errorf("receipt %q, %v", receipt.RequestID, err)
	}
	if err := c.DeleteDisk(ctx, volumeID); err == nil || receipt.RequestID != "req-del" {
		t.Errorf("after a refusal: receipt %q, %v", receipt.RequestID, err)
	}
}

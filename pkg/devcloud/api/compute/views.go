package compute

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/netip"
	"time"

	"github.com/fairlead-io/fairlead/pkg/devcloud/api"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine/blockstorage"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine/compute"
)

func seconds(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// groupNames are the security groups as a list of references by name.
func groupNames(names []string) []any {
	list := []any{}
	for _, name := range names {
		list = append(list, map[string]any{"name": name})
	}
	return list
}

// powerStates are the hypervisor's codes.
var powerStates = map[compute.Status]int{compute.Active: 1, compute.Shutoff: 4}

// detail is a server in full, as its microversion shows it.
func (s service) detail(tx *engine.Tx, r *api.Request, v compute.Server) map[string]any {
	view := map[string]any{
		"id": v.ID, "name": v.Name, "status": v.Status, "tenant_id": v.ProjectID, "user_id": v.UserID, "metadata": v.Metadata,
		"hostId": hostID(v), "image": imageView(r, v), "flavor": serverFlavor(r, v),
		"created": seconds(v.Created), "updated": seconds(v.Updated),
		"addresses": s.addressView(tx, v.ID), "accessIPv4": "", "accessIPv6": "", "links": links(r, "servers", v.ID),
		"OS-DCF:diskConfig": "MANUAL", "OS-EXT-AZ:availability_zone": v.Zone, "config_drive": "", "key_name": nil,
		"OS-SRV-USG:launched_at": nil, "OS-SRV-USG:terminated_at": nil,
		"OS-EXT-STS:task_state": orNull(v.Task), "OS-EXT-STS:vm_state": v.VMState(), "OS-EXT-STS:power_state": powerStates[v.Status],
		"os-extended-volumes:volumes_attached": s.volumesView(tx, r, v.ID),
	}
	if groups := s.compute.SecurityGroups(tx, v.ID); len(groups) > 0 {
		view["security_groups"] = groupNames(groups)
	}
	if !v.Launched.IsZero() {
		view["OS-SRV-USG:launched_at"] = v.Launched.UTC().Format("2006-01-02T15:04:05.000000")
	}
	switch v.Status {
	case compute.Active, compute.Build:
		view["progress"] = 0
	case compute.Failed:
		view["fault"] = map[string]any{"code": 500, "message": v.Fault, "created": seconds(v.Updated)}
	}
	for minor, fields := range map[int]map[string]any{
		9:  {"locked": false},
		19: {"description": v.Description},
		26: {"tags": append([]string{}, v.Tags...)},
		63: {"trusted_image_certificates": nil},
		71: {"server_groups": []any{}},
		73: {"locked_reason": nil},
		90: {"OS-EXT-SRV-ATTR:hostname": v.Hostname()},
	} {
		if r.Version.AtLeast(2, minor) {
			for k, value := range fields {
				view[k] = value
			}
		}
	}
	return view
}

func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// hostID is an opaque name of the machine that a server runs on, different for each project: here one per zone.
func hostID(v compute.Server) string {
	if v.Status == compute.Build {
		return ""
	}
	sum := sha256.Sum224([]byte(v.ProjectID + v.Zone))
	return hex.EncodeToString(sum[:])
}

func imageView(r *api.Request, v compute.Server) any {
	if v.ImageID == "" {
		return ""
	}
	return map[string]any{"id": v.ImageID, "links": []api.Link{{Rel: "bookmark", Href: r.Base + "/images/" + v.ImageID}}}
}

// serverFlavor is a reference up to 2.46 and a copy from 2.47 on.
func serverFlavor(r *api.Request, v compute.Server) any {
	f := v.Flavor
	if !r.Version.AtLeast(2, 47) {
		return map[string]any{"id": f.ID, "links": []api.Link{{Rel: "bookmark", Href: r.Base + "/flavors/" + f.ID}}}
	}
	return map[string]any{
		"vcpus": f.VCPUs, "ram": f.RAMMiB, "disk": f.DiskGiB, "ephemeral": 0, "swap": 0,
		"original_name": f.Name, "extra_specs": map[string]string{},
	}
}

func (s service) addressView(tx *engine.Tx, serverID string) map[string][]any {
	view := map[string][]any{}
	byNetwork, _ := s.compute.Addresses(tx, serverID)
	for name, list := range byNetwork {
		for _, a := range list {
			kind := "fixed"
			if a.Floating {
				kind = "floating"
			}
			view[name] = append(view[name], map[string]any{
				"version": ipVersion(a.IP), "addr": a.IP, "OS-EXT-IPS:type": kind, "OS-EXT-IPS-MAC:mac_addr": a.MAC,
			})
		}
	}
	return view
}

func ipVersion(ip string) int {
	if a, err := netip.ParseAddr(ip); err == nil && a.Is6() {
		return 6
	}
	return 4
}

func (s service) addresses(r *api.Request) (int, any, error) {
	view := map[string][]any{}
	err := s.engine.View(func(tx *engine.Tx) error {
		v, err := s.compute.Get(tx, r.Caller.ProjectID, r.PathValue("id"))
		if err != nil {
			return err
		}
		byNetwork, _ := s.compute.Addresses(tx, v.ID)
		for name, list := range byNetwork {
			for _, a := range list {
				view[name] = append(view[name], map[string]any{"version": ipVersion(a.IP), "addr": a.IP})
			}
		}
		return nil
	})
	return http.StatusOK, map[string]any{"addresses": view}, err
}

func (s service) addressesOn(r *api.Request) (int, any, error) {
	status, body, err := s.addresses(r)
	if err != nil {
		return status, body, err
	}
	name := r.PathValue("network")
	list, ok := body.(map[string]any)["addresses"].(map[string][]any)[name]
	if !ok {
		return 0, nil, engine.Refuse(engine.NotFound, "Instance is not a member of specified network")
	}
	return status, map[string]any{name: list}, nil
}

func (s service) volumesView(tx *engine.Tx, r *api.Request, serverID string) []any {
	view := []any{}
	for _, v := range s.compute.Volumes(tx, serverID) {
		item := map[string]any{"id": v.ID}
		if r.Version.AtLeast(2, 3) {
			item["delete_on_termination"] = false
		}
		view = append(view, item)
	}
	return view
}

// attachmentView is a volume attachment: from 2.89 on it has Cinder's attachment id instead of the volume's id twice.
func attachmentView(r *api.Request, serverID, volumeID string, a blockstorage.Attachment) map[string]any {
	view := map[string]any{"volumeId": volumeID, "serverId": serverID, "device": a.Device}
	if r.Version.AtLeast(2, 89) {
		view["attachment_id"], view["bdm_uuid"] = a.ID, a.BDM
	} else {
		view["id"] = volumeID
	}
	if r.Version.AtLeast(2, 70) {
		view["tag"] = nil
	}
	if r.Version.AtLeast(2, 79) {
		view["delete_on_termination"] = false
	}
	return view
}

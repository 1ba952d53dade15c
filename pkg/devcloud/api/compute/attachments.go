package compute

import (
	"net/http"
	"regexp"
	"strconv"

	"github.com/google/uuid"

	"github.com/fairlead-io/fairlead/pkg/devcloud/api"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine/blockstorage"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine/compute"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine/network"
)

// attachments lists a server's volumes. Nova's limit and offset count the root disk before them, which is no volume.
func (s service) attachments(r *api.Request) (int, any, error) {
	if err := checkQuery(r, "limit", "offset"); err != nil {
		return 0, nil, err
	}
	limit, err := pageNumber(r, "limit", maxItems)
	if err != nil {
		return 0, nil, err
	}
	offset, err := pageNumber(r, "offset", 0)
	if err != nil {
		return 0, nil, err
	}
	views := []any{}
	err = s.engine.View(func(tx *engine.Tx) error {
		v, err := s.compute.Get(tx, r.Caller.ProjectID, r.PathValue("id"))
		if err != nil {
			return err
		}
		for i, volume := range s.compute.Volumes(tx, v.ID) {
			if disk := i + 1; disk >= offset && disk < offset+limit {
				a, _ := volume.On(v.ID)
				views = append(views, attachmentView(r, v.ID, volume.ID, a))
			}
		}
		return nil
	})
	return http.StatusOK, map[string]any{"volumeAttachments": views}, err
}

func pageNumber(r *api.Request, name string, def int) (int, error) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return def, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return 0, api.BadRequest("Invalid input for query parameters %s. Value: %s. '%s' does not match '^[0-9]*$'", name, text, text)
	}
	return n, nil
}

func (s service) attachment(r *api.Request) (int, any, error) {
	var view map[string]any
	err := s.engine.View(func(tx *engine.Tx) error {
		v, err := s.compute.Get(tx, r.Caller.ProjectID, r.PathValue("id"))
		if err != nil {
			return err
		}
		id := r.PathValue("volume")
		for _, volume := range s.compute.Volumes(tx, v.ID) {
			if volume.ID == id {
				a, _ := volume.On(v.ID)
				view = attachmentView(r, v.ID, id, a)
				return nil
			}
		}
		return engine.Refuse(engine.NotFound, "Instance %s is not attached to volume %s", v.ID, id)
	})
	return http.StatusOK, map[string]any{"volumeAttachment": view}, err
}

var devicePattern = regexp.MustCompile(`(^/dev/x{0,1}[a-z]{0,1}d{0,1})([a-z]+)[0-9]*$`)

// attachRequest is what POST os-volume_attachments may ask for.
type attachRequest struct {
	VolumeID string  `json:"volumeId"`
	Device   *string `json:"device"`                // a wish that this cloud, like most, does not grant
	Tag      *string `json:"tag"`                   // 2.49
	Ends     *bool   `json:"delete_on_termination"` // 2.79
}

func (in attachRequest) check(r *api.Request) error {
	if err := sinceVersion(r, 49, "tag", in.Tag != nil); err != nil {
		return err
	}
	if err := sinceVersion(r, 79, "delete_on_termination", in.Ends != nil); err != nil {
		return err
	}
	switch {
	case in.VolumeID == "":
		return api.BadRequest("Invalid input for field/attribute volumeAttachment. Value: {}. 'volumeId' is a required property")
	case uuid.Validate(in.VolumeID) != nil:
		return api.BadRequest("Invalid input for field/attribute volumeId. Value: %s. '%s' is not a 'uuid'", in.VolumeID, in.VolumeID)
	case in.Device != nil && !devicePattern.MatchString(*in.Device):
		return api.BadRequest("Invalid input for field/attribute device. Value: %s. '%s' does not match '%s'", *in.Device, *in.Device, devicePattern)
	case in.Tag != nil:
		return api.BadRequest("Invalid input for field/attribute tag: this cloud does not tag devices.")
	case in.Ends != nil && *in.Ends:
		return api.BadRequest("Invalid input for field/attribute delete_on_termination: this cloud keeps a server's volumes.")
	}
	return nil
}

func (s service) attach(r *api.Request) (int, any, error) {
	var in attachRequest
	if err := decode(r, "volumeAttachment", &in); err != nil {
		return 0, nil, err
	}
	if err := in.check(r); err != nil {
		return 0, nil, err
	}
	server, volume := r.PathValue("id"), in.VolumeID
	var a blockstorage.Attachment
	err := s.engine.Update(func(tx *engine.Tx) error {
		if !r.Version.AtLeast(2, 60) && s.compute.Multiattach(tx, r.Caller.ProjectID, volume) {
			return api.BadRequest("Multiattach volumes are only supported starting with compute API version 2.60.")
		}
		var err error
		a, err = s.compute.AttachVolume(tx, r.Caller.ProjectID, server, volume)
		return err
	})
	if err != nil {
		return 0, nil, err
	}
	view := attachmentView(r, server, volume, a)
	view["id"] = volume // this one answer kept it when the others got Cinder's ids
	delete(view, "attachment_id")
	delete(view, "bdm_uuid")
	return http.StatusOK, map[string]any{"volumeAttachment": view}, nil
}

func (s service) detach(r *api.Request) (int, any, error) {
	err := s.engine.Update(func(tx *engine.Tx) error {
		return s.compute.DetachVolume(tx, r.Caller.ProjectID, r.PathValue("id"), r.PathValue("volume"))
	})
	return http.StatusAccepted, nil, err
}

func interfaceView(r *api.Request, p network.Port) map[string]any {
	ips := []any{}
	for _, ip := range p.FixedIPs {
		ips = append(ips, map[string]any{"subnet_id": ip.SubnetID, "ip_address": ip.Address.String()})
	}
	view := map[string]any{
		"net_id": p.NetworkID, "port_id": p.ID, "mac_addr": p.MAC, "port_state": p.Status(), "fixed_ips": ips,
	}
	if r.Version.AtLeast(2, 70) {
		view["tag"] = nil
	}
	return view
}

func (s service) ports(r *api.Request) (ports []network.Port, err error) {
	err = s.engine.View(func(tx *engine.Tx) error {
		v, err := s.compute.Get(tx, r.Caller.ProjectID, r.PathValue("id"))
		if err == nil {
			ports = s.compute.Ports(tx, v.ID)
		}
		return err
	})
	return ports, err
}

func (s service) interfaces(r *api.Request) (int, any, error) {
	ports, err := s.ports(r)
	views := []any{}
	for _, p := range ports {
		views = append(views, interfaceView(r, p))
	}
	return http.StatusOK, map[string]any{"interfaceAttachments": views}, err
}

func (s service) showInterface(r *api.Request) (int, any, error) {
	ports, err := s.ports(r)
	if err != nil {
		return 0, nil, err
	}
	for _, p := range ports {
		if p.ID == r.PathValue("port") {
			return http.StatusOK, map[string]any{"interfaceAttachment": interfaceView(r, p)}, nil
		}
	}
	return 0, nil, engine.Refuse(engine.NotFound, "Port id %s could not be found.", r.PathValue("port"))
}

func (s service) addInterface(r *api.Request) (int, any, error) {
	var body struct {
		Interface struct {
			PortID    string `json:"port_id"`
			NetworkID string `json:"net_id"`
			FixedIPs  []struct {
				Address string `json:"ip_address"`
			} `json:"fixed_ips"`
		} `json:"interfaceAttachment"`
	}
	if err := r.Decode(&body); err != nil {
		return 0, nil, err
	}
	nic := compute.NIC{PortID: body.Interface.PortID, NetworkID: body.Interface.NetworkID}
	if len(body.Interface.FixedIPs) > 0 {
		nic.FixedIP = body.Interface.FixedIPs[0].Address
	}
	var p network.Port
	err := s.engine.Update(func(tx *engine.Tx) error {
		var err error
		p, err = s.compute.AddPort(tx, r.Caller.ProjectID, r.PathValue("id"), nic)
		return err
	})
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, map[string]any{"interfaceAttachment": interfaceView(r, p)}, nil
}

func (s service) removeInterface(r *api.Request) (int, any, error) {
	err := s.engine.Update(func(tx *engine.Tx) error {
		return s.compute.RemovePort(tx, r.Caller.ProjectID, r.PathValue("id"), r.PathValue("port"))
	})
	return http.StatusAccepted, nil, err
}

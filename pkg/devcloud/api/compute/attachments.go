package compute

import (
	"net/http"

	"github.com/fairlead-io/fairlead/pkg/devcloud/api"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine/blockstorage"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine/compute"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine/network"
)

func (s service) attachments(r *api.Request) (int, any, error) {
	views := []any{}
	err := s.engine.View(func(tx *engine.Tx) error {
		v, err := s.compute.Get(tx, r.Caller.ProjectID, r.PathValue("id"))
		if err != nil {
			return err
		}
		page, _, err := api.Page(r, s.compute.Volumes(tx, v.ID), func(v blockstorage.Volume) string { return v.ID }, maxItems,
			func(id string) error { return api.BadRequest("marker [%s] not found", id) })
		for _, volume := range page {
			a, _ := volume.On(v.ID)
			views = append(views, attachmentView(r, v.ID, volume.ID, a))
		}
		return err
	})
	return http.StatusOK, map[string]any{"volumeAttachments": views}, err
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

func (s service) attach(r *api.Request) (int, any, error) {
	var body struct {
		Attachment *struct {
			VolumeID string `json:"volumeId"`
		} `json:"volumeAttachment"`
	}
	if err := r.Decode(&body); err != nil {
		return 0, nil, err
	}
	if body.Attachment == nil || body.Attachment.VolumeID == "" {
		return 0, nil, api.BadRequest("Invalid input for field/attribute volumeAttachment. Value: None. 'volumeId' is a required property")
	}
	server, volume := r.PathValue("id"), body.Attachment.VolumeID
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
	return 0, nil, engine.Refuse(engine.NotFound, "Instance %s does not have a port with id %s", r.PathValue("id"), r.PathValue("port"))
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

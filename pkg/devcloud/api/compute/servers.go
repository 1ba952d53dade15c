package compute

import (
	"encoding/json"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/fairlead-io/fairlead/pkg/devcloud/api"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine/compute"
)

type createBody struct {
	Server *struct {
		Name           string            `json:"name"`
		Description    *string           `json:"description"`
		Flavor         string            `json:"flavorRef"`
		Image          string            `json:"imageRef"`
		Zone           string            `json:"availability_zone"`
		KeyName        string            `json:"key_name"`
		Metadata       map[string]string `json:"metadata"`
		Networks       json.RawMessage   `json:"networks"`
		SecurityGroups []struct {
			Name string `json:"name"`
		} `json:"security_groups"`
		Tags     []string `json:"tags"`
		MinCount int      `json:"min_count"`
		MaxCount int      `json:"max_count"`
	} `json:"server"`
}

func (s service) create(r *api.Request) (int, any, error) {
	var body createBody
	if err := r.Decode(&body); err != nil {
		return 0, nil, err
	}
	in := body.Server
	if in == nil {
		return 0, nil, api.BadRequest("Invalid input for field/attribute server. Value: None. 'server' is a required property")
	}
	if strings.TrimSpace(in.Name) == "" || len(in.Name) > api.MaxString {
		return 0, nil, api.BadRequest("Invalid input for field/attribute name. Value: %s. 1 to %d characters are allowed", in.Name, api.MaxString)
	}
	if in.MinCount > 1 || in.MaxCount > 1 {
		return 0, nil, api.BadRequest("Invalid input for field/attribute max_count: this cloud creates one server per request.")
	}
	if err := api.CheckMetadata(in.Metadata); err != nil {
		return 0, nil, err
	}
	spec := compute.Spec{
		ProjectID: r.Caller.ProjectID, UserID: r.Caller.UserID, Name: in.Name, Description: in.Description,
		FlavorID: in.Flavor[strings.LastIndex(in.Flavor, "/")+1:], ImageID: in.Image[strings.LastIndex(in.Image, "/")+1:],
		Zone: in.Zone, KeyName: in.KeyName, Metadata: in.Metadata, Tags: in.Tags,
	}
	if !r.Version.AtLeast(2, 19) {
		spec.Description = &in.Name // there were no descriptions to ask for
	}
	for _, g := range in.SecurityGroups {
		spec.SecurityGroups = append(spec.SecurityGroups, g.Name)
	}
	var err error
	if spec.NICs, spec.NoNetwork, err = parseNetworks(in.Networks); err != nil {
		return 0, nil, err
	}
	var v compute.Server
	err = s.engine.Update(func(tx *engine.Tx) error {
		var err error
		v, err = s.compute.Create(tx, spec)
		return err
	})
	if err != nil {
		return 0, nil, err
	}
	r.SetHeader("Location", r.Base+"/v2.1/servers/"+v.ID)
	return http.StatusAccepted, map[string]any{"server": map[string]any{
		"id": v.ID, "links": links(r, "servers", v.ID), "OS-DCF:diskConfig": "MANUAL",
		"security_groups": groupNames(v.SecurityGroups), "adminPass": strings.ReplaceAll(r.ID[len(r.ID)-13:], "-", ""),
	}}, nil
}

// parseNetworks reads "auto", "none" or a list of ports and networks; nothing at all is "auto".
func parseNetworks(raw json.RawMessage) (nics []compute.NIC, none bool, err error) {
	switch string(raw) {
	case "", "null", `"auto"`:
		return nil, false, nil
	case `"none"`:
		return nil, true, nil
	}
	var list []struct {
		UUID    string `json:"uuid"`
		Port    string `json:"port"`
		FixedIP string `json:"fixed_ip"`
	}
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, false, api.BadRequest("Invalid input for field/attribute networks. Value: %s. It is a list, \"auto\" or \"none\"", raw)
	}
	for _, n := range list {
		nics = append(nics, compute.NIC{PortID: n.Port, NetworkID: n.UUID, FixedIP: n.FixedIP})
	}
	return nics, false, nil
}

func (s service) list(detailed bool) api.Handler {
	kind := "index"
	if detailed {
		kind = "detail"
	}
	return func(r *api.Request) (int, any, error) {
		if all := r.URL.Query().Get("all_tenants"); all != "" && all != "0" && !strings.EqualFold(all, "false") {
			return api.AdminOnly("os_compute_api:servers:" + kind + ":get_all_tenants")(r)
		}
		match, err := parseFilter(r)
		if err != nil {
			return 0, nil, err
		}
		var body map[string]any
		err = s.engine.View(func(tx *engine.Tx) error {
			all := slices.DeleteFunc(s.compute.List(tx, r.Caller.ProjectID), func(v compute.Server) bool {
				return !match(v) || !s.hasAddress(tx, r, v)
			})
			page, next, err := api.Page(r, all, func(v compute.Server) string { return v.ID }, maxItems, func(id string) error {
				return api.BadRequest("marker [%s] not found", id)
			})
			if err != nil {
				return err
			}
			views := make([]any, len(page))
			for i, v := range page {
				views[i] = map[string]any{"id": v.ID, "name": v.Name, "links": links(r, "servers", v.ID)}
				if detailed {
					view := s.detail(tx, r, v)
					delete(view, "server_groups") // only a single server shows them
					views[i] = view
				}
			}
			body = map[string]any{"servers": views}
			if next != nil {
				body["servers_links"] = next
			}
			return nil
		})
		return http.StatusOK, body, err
	}
}

// parseFilter reads a list's query. Nova matches names by regular expression and ignores what it does not know.
func parseFilter(r *api.Request) (func(compute.Server) bool, error) {
	query := r.URL.Query()
	name, err := regexp.Compile(query.Get("name"))
	if err != nil {
		return nil, api.BadRequest("Invalid input for query parameters name. Value: %s. It is no regular expression", query.Get("name"))
	}
	status, flavor, zone := query.Get("status"), query.Get("flavor"), query.Get("availability_zone")
	return func(v compute.Server) bool {
		return name.MatchString(v.Name) &&
			(status == "" || strings.EqualFold(status, string(v.Status))) &&
			(flavor == "" || flavor == v.Flavor.ID) &&
			(zone == "" || zone == v.Zone)
	}, nil
}

// hasAddress applies the filter ip, a regular expression, too.
func (s service) hasAddress(tx *engine.Tx, r *api.Request, v compute.Server) bool {
	want := r.URL.Query().Get("ip")
	if want == "" {
		return true
	}
	pattern, err := regexp.Compile(want)
	if err != nil {
		return false
	}
	byNetwork, _ := s.compute.Addresses(tx, v.ID)
	for _, list := range byNetwork {
		if slices.ContainsFunc(list, func(a compute.Address) bool { return pattern.MatchString(a.IP) }) {
			return true
		}
	}
	return false
}

func (s service) show(r *api.Request) (int, any, error) {
	var view map[string]any
	err := s.engine.View(func(tx *engine.Tx) error {
		v, err := s.compute.Get(tx, r.Caller.ProjectID, r.PathValue("id"))
		if err == nil {
			view = s.detail(tx, r, v)
		}
		return err
	})
	return http.StatusOK, map[string]any{"server": view}, err
}

func (s service) update(r *api.Request) (int, any, error) {
	var body struct {
		Server *struct {
			Name        *string `json:"name"`
			Description *string `json:"description"`
		} `json:"server"`
	}
	if err := r.Decode(&body); err != nil {
		return 0, nil, err
	}
	if body.Server == nil {
		return 0, nil, api.BadRequest("Invalid input for field/attribute server. Value: None. 'server' is a required property")
	}
	if _, err := s.change(r, func(compute.Server) compute.Change {
		return compute.Change{Name: body.Server.Name, Description: body.Server.Description}
	}); err != nil {
		return 0, nil, err
	}
	return s.show(r)
}

func (s service) change(r *api.Request, change func(v compute.Server) compute.Change) (v compute.Server, err error) {
	err = s.engine.Update(func(tx *engine.Tx) error {
		if v, err = s.compute.Get(tx, r.Caller.ProjectID, r.PathValue("id")); err != nil {
			return err
		}
		v, err = s.compute.Update(tx, v.ProjectID, v.ID, change(v))
		return err
	})
	return v, err
}

func (s service) delete(r *api.Request) (int, any, error) {
	err := s.engine.Update(func(tx *engine.Tx) error {
		return s.compute.Delete(tx, r.Caller.ProjectID, r.PathValue("id"))
	})
	return http.StatusNoContent, nil, err
}

func (s service) action(r *api.Request) (int, any, error) {
	var body map[string]json.RawMessage
	if err := r.Decode(&body); err != nil {
		return 0, nil, err
	}
	actions := map[string]func(tx *engine.Tx, projectID, id string) error{
		"os-start": s.compute.Start,
		"os-stop":  s.compute.Stop,
	}
	for name := range body {
		act, ok := actions[name]
		if !ok {
			return 0, nil, api.BadRequest("There is no such action: %s", name)
		}
		err := s.engine.Update(func(tx *engine.Tx) error { return act(tx, r.Caller.ProjectID, r.PathValue("id")) })
		return http.StatusAccepted, nil, err
	}
	return 0, nil, api.BadRequest("Malformed request body")
}

func (s service) metadata(r *api.Request) (int, any, error) {
	v, err := s.get(r)
	return http.StatusOK, map[string]any{"metadata": v.Metadata}, err
}

func (s service) editMetadata(r *api.Request, edit func(map[string]string) map[string]string) (map[string]string, error) {
	v, err := s.change(r, func(v compute.Server) compute.Change {
		return compute.Change{Metadata: edit(v.Metadata)}
	})
	return v.Metadata, err
}

func (s service) metadataItem(r *api.Request) (int, any, error) {
	v, err := s.get(r)
	if err != nil {
		return 0, nil, err
	}
	key := r.PathValue("key")
	value, ok := v.Metadata[key]
	if !ok {
		return 0, nil, noMetadataItem()
	}
	return http.StatusOK, map[string]any{"meta": map[string]string{key: value}}, nil
}

func (s service) deleteMetadata(r *api.Request) (int, any, error) {
	key := r.PathValue("key")
	err := s.engine.Update(func(tx *engine.Tx) error {
		v, err := s.compute.Get(tx, r.Caller.ProjectID, r.PathValue("id"))
		if err != nil {
			return err
		}
		if _, ok := v.Metadata[key]; !ok {
			return noMetadataItem()
		}
		kept := maps.Clone(v.Metadata)
		delete(kept, key)
		_, err = s.compute.Update(tx, v.ProjectID, v.ID, compute.Change{Metadata: kept})
		return err
	})
	return http.StatusNoContent, nil, err
}

func noMetadataItem() error { return engine.Refuse(engine.NotFound, "Metadata item was not found") }

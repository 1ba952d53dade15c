package compute

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/fairlead-io/fairlead/pkg/devcloud/api"
	"github.com/fairlead-io/fairlead/pkg/devcloud/api/collection"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine/compute"
)

// createServer is what POST /servers may ask for.
type createServer struct {
	Name           *string                 `json:"name"`
	Description    engine.Optional[string] `json:"description"` // 2.19
	Flavor         flavorRef               `json:"flavorRef"`
	Image          string                  `json:"imageRef"`
	Zone           string                  `json:"availability_zone"`
	KeyName        string                  `json:"key_name"`
	Metadata       map[string]string       `json:"metadata"`
	Networks       json.RawMessage         `json:"networks"`
	SecurityGroups []struct {
		Name string `json:"name"`
	} `json:"security_groups"`
	Tags     []string `json:"tags"` // 2.52
	MinCount int      `json:"min_count"`
	MaxCount int      `json:"max_count"`

	// What has no effect without a guest.
	UserData     json.RawMessage `json:"user_data"`
	ConfigDrive  json.RawMessage `json:"config_drive"`
	Password     json.RawMessage `json:"adminPass"`
	DiskConfig   json.RawMessage `json:"OS-DCF:diskConfig"`
	Files        json.RawMessage `json:"personality"`
	AccessIPv4   json.RawMessage `json:"accessIPv4"`
	AccessIPv6   json.RawMessage `json:"accessIPv6"`
	BlockDevices []struct {
		Source string `json:"source_type"`
	} `json:"block_device_mapping_v2"` // the command line repeats the image here
}

// flavorRef is a flavor's id, also as a number or at the end of a URL.
type flavorRef string

// UnmarshalJSON implements json.Unmarshaler.
func (f *flavorRef) UnmarshalJSON(b []byte) error {
	text := strings.Trim(string(b), `"`)
	if string(b) == "null" || strings.ContainsAny(text, `{[`) {
		return api.BadRequest("Invalid input for field/attribute flavorRef. Value: %s. It is not of type 'string', 'integer'", b)
	}
	*f = flavorRef(text[strings.LastIndex(text, "/")+1:])
	return nil
}

func (s service) create(r *api.Request) (int, any, error) {
	var in createServer
	if err := decode(r, "server", &in); err != nil {
		return 0, nil, err
	}
	if err := in.check(r); err != nil {
		return 0, nil, err
	}
	spec := compute.Spec{
		ProjectID: r.Caller.ProjectID, UserID: r.Caller.UserID, Name: *in.Name, Description: in.Description.Pointer(),
		FlavorID: string(in.Flavor), ImageID: in.Image[strings.LastIndex(in.Image, "/")+1:],
		Zone: in.Zone, Metadata: in.Metadata, Tags: in.Tags,
	}
	if !r.Version.AtLeast(2, 19) {
		spec.Description = in.Name // there were no descriptions to ask for
	}
	for _, g := range in.SecurityGroups {
		spec.SecurityGroups = append(spec.SecurityGroups, g.Name)
	}
	var err error
	if spec.NICs, spec.NoNetwork, err = parseNetworks(r, in.Networks); err != nil {
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

// check refuses what Nova's schema refuses, and what this cloud does not do.
func (in createServer) check(r *api.Request) error {
	if err := sinceVersion(r, 19, "description", in.Description.Set); err != nil {
		return err
	}
	if err := sinceVersion(r, 52, "tags", in.Tags != nil); err != nil {
		return err
	}
	if in.Name == nil {
		return api.BadRequest("Invalid input for field/attribute server. 'name' is a required property")
	}
	if err := checkName(*in.Name); err != nil {
		return err
	}
	if id := in.Image[strings.LastIndex(in.Image, "/")+1:]; id != "" && uuid.Validate(id) != nil {
		return api.BadRequest("Invalid input for field/attribute imageRef. Value: %s. '%s' is not valid under any of the given schemas", in.Image, in.Image)
	}
	if in.KeyName != "" {
		return api.BadRequest("Invalid key_name provided.") // there are no key pairs
	}
	if in.MaxCount != 0 && in.MinCount > in.MaxCount {
		return api.BadRequest("min_count must be <= max_count")
	}
	if in.MinCount > 1 || in.MaxCount > 1 {
		return api.BadRequest("Invalid input for field/attribute max_count: this cloud creates one server per request.")
	}
	for _, device := range in.BlockDevices {
		if device.Source != "image" {
			return api.BadRequest("Invalid input for field/attribute block_device_mapping_v2: this cloud boots no server from a volume.")
		}
	}
	return api.CheckMetadata(in.Metadata, api.ServerKeys)
}

// decode reads the named member of a request's body and refuses attributes that it may not have.
func decode(r *api.Request, member string, into any) error {
	return collection.DecodeOr(r, member, into, api.BadRequest("'%s' is a required property", member), unexpected)
}

// unexpected is the error for an attribute that a request may not have.
func unexpected(attribute string) error {
	return api.BadRequest("Additional properties are not allowed ('%s' was unexpected)", attribute)
}

// sinceVersion refuses an attribute that was given before the microversion 2.<minor> that brought it.
func sinceVersion(r *api.Request, minor int, attribute string, given bool) error {
	if given && !r.Version.AtLeast(2, minor) {
		return unexpected(attribute)
	}
	return nil
}

func checkName(name string) error {
	wrong := func(why string) error {
		return api.BadRequest("Invalid input for field/attribute name. Value: %s. '%s' %s", name, name, why)
	}
	switch {
	case name == "":
		return wrong("is too short")
	case utf8.RuneCountInString(name) > api.MaxString:
		return wrong("is too long")
	case strings.TrimSpace(name) != name:
		return api.BadRequest("An invalid 'name' value was provided. The name must be: printable characters. Can not start or end with whitespace.")
	}
	return nil
}

// parseNetworks reads a list of ports and networks or, from 2.37 on, "auto" or "none"; nothing at all is "auto".
func parseNetworks(r *api.Request, raw json.RawMessage) (nics []compute.NIC, none bool, err error) {
	words := []string{`"auto"`, `"none"`}
	switch word := string(raw); {
	case word == "" || word == "null":
		return nil, false, nil
	case slices.Contains(words, word) && r.Version.AtLeast(2, 37):
		return nil, word == `"none"`, nil
	}
	var list []struct {
		UUID    string `json:"uuid"`
		Port    string `json:"port"`
		FixedIP string `json:"fixed_ip"`
	}
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, false, api.BadRequest("Invalid input for field/attribute networks. Value: %s. It is not of type 'array'", raw)
	}
	for _, n := range list {
		nics = append(nics, compute.NIC{PortID: n.Port, NetworkID: n.UUID, FixedIP: n.FixedIP})
	}
	return nics, false, nil
}

// checkQuery refuses parameters that a list does not take, from 2.75 on; before, they are ignored.
func checkQuery(r *api.Request, known ...string) error {
	for name := range r.URL.Query() {
		if r.Version.AtLeast(2, 75) && !slices.Contains(known, name) {
			return unexpected(name)
		}
	}
	return nil
}

// wholeNumber reads a filter by a number.
func wholeNumber(r *api.Request, name string) (n int, err error) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return 0, nil
	}
	if _, err := fmt.Sscanf(text, "%d", &n); err != nil {
		return 0, api.BadRequest("Invalid %s filter [%s]", name, text)
	}
	return n, nil
}

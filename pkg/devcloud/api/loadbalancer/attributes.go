package loadbalancer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/fairlead-io/fairlead/pkg/devcloud/api"
	"github.com/fairlead-io/fairlead/pkg/devcloud/api/collection"
)

// rules are how Octavia judges a resource's attributes before it looks at its state.
type rules struct {
	argument  string   // what it calls the body
	mandatory []string // of a creation, in the order in which they are missed
	fixed     []string // what no update has
}

var judged = map[string]rules{
	"loadbalancer": {"load_balancer.loadbalancer", nil, []string{
		"vip_subnet_id", "vip_network_id", "vip_port_id", "vip_address", "provider", "project_id", "listeners", "pools",
	}},
	"listener": {"listener_.listener", []string{"loadbalancer_id", "protocol", "protocol_port"}, []string{
		"loadbalancer_id", "protocol", "protocol_port", "project_id", "default_pool",
	}},
	"pool": {"pool_.pool", []string{"lb_algorithm", "protocol"}, []string{
		"loadbalancer_id", "listener_id", "protocol", "project_id", "members", "healthmonitor",
	}},
	"member":        {"member_.member", []string{"address", "protocol_port"}, []string{"address", "protocol_port", "subnet_id", "project_id"}},
	"members":       {"members_.members", nil, nil},
	"healthmonitor": {"health_monitor_.healthmonitor", []string{"type", "delay", "timeout", "max_retries", "pool_id"}, []string{"type", "pool_id", "project_id"}},
	"quota":         {"quotas.quota", nil, nil},
}

// decode reads the attributes of a request, and refuses in the words of Octavia what cannot be.
func decode(r *api.Request, member string, into any) error {
	content, err := io.ReadAll(r.Body)
	if err != nil {
		return api.BadRequest("Could not read the request body: %v", err)
	}
	if !json.Valid(content) {
		return api.BadRequest("Request is not in valid JSON format")
	}
	if err := judge(r.Method, member, content); err != nil {
		return err
	}
	r.Body = io.NopCloser(bytes.NewReader(content))
	return collection.Decode(r, member, into, func(attribute string) error { return unknownAttribute(member, attribute) })
}

func unknownAttribute(member, attribute string) error {
	return api.BadRequest("Unknown attribute for argument %s: %s", judged[member].argument, attribute)
}

func judge(method, member string, content []byte) error {
	var body map[string]json.RawMessage
	if json.Unmarshal(content, &body) != nil {
		return nil //nolint:nilerr // the decoder says it better
	}
	if member == "members" {
		var list []map[string]any
		if json.Unmarshal(body[member], &list) != nil {
			return nil //nolint:nilerr // as above
		}
		for _, given := range list {
			if err := present(given, judged["member"].mandatory); err != nil {
				return err
			}
		}
		return nil
	}
	var given map[string]any
	if json.Unmarshal(body[member], &given) != nil {
		return nil //nolint:nilerr // as above
	}
	if method == http.MethodPost {
		if err := present(given, judged[member].mandatory); err != nil {
			return err
		}
	}
	for _, name := range judged[member].fixed {
		if _, ok := given[name]; ok && method == http.MethodPut {
			return unknownAttribute(member, name)
		}
	}
	return checkKinds(given)
}

// present misses the first mandatory attribute that is not given.
func present(given map[string]any, mandatory []string) error {
	for _, name := range mandatory {
		if given[name] == nil {
			return api.BadRequest("Invalid input for field/attribute %s. Value: 'None'. Mandatory field missing.", name)
		}
	}
	return nil
}

var uuidForm = regexp.MustCompile(`^[0-9a-fA-F]{8}-?([0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}$`)

var identifiers = []string{"vip_subnet_id", "vip_network_id", "vip_port_id", "loadbalancer_id", "listener_id", "pool_id", "default_pool_id", "subnet_id"}

const maxText = 255

// checkKinds refuses names and tags that are no texts, and references that are no ids.
func checkKinds(given map[string]any) error {
	wrong := func(name string, value any, should string) error {
		return api.BadRequest("Invalid input for field/attribute %s. Value: '%s'. Value should %s", name, python(value), should)
	}
	for _, name := range []string{"name", "description"} {
		text, ok := given[name].(string)
		switch {
		case given[name] == nil:
		case !ok:
			return wrong(name, given[name], "be string")
		case len(text) > maxText:
			return wrong(name, text, fmt.Sprintf("have a maximum character requirement of %d", maxText))
		}
	}
	tags, _ := given["tags"].([]any)
	if slices.ContainsFunc(tags, func(tag any) bool { _, ok := tag.(string); return !ok }) {
		return wrong("tags", tags, "be string")
	}
	for _, name := range identifiers {
		if id, ok := given[name].(string); ok && id != "" && !uuidForm.MatchString(id) {
			return wrong(name, id, "be UUID format")
		}
	}
	return nil
}

// python is a value as Python writes it.
func python(value any) string {
	list, ok := value.([]any)
	if !ok {
		return fmt.Sprint(value)
	}
	texts := make([]string, 0, len(list))
	for _, one := range list {
		if s, ok := one.(string); ok {
			texts = append(texts, "'"+s+"'")
			continue
		}
		texts = append(texts, fmt.Sprint(one))
	}
	return "[" + strings.Join(texts, ", ") + "]"
}

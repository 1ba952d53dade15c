package network

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/fairlead-io/fairlead/pkg/devcloud/api"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine"
)

// attribute is how Neutron treats one attribute of a request.
type attribute struct {
	kind     kind
	required bool
	fixed    bool // only a creation has it
	readOnly bool // no request has it
	admin    bool // only an administrator gives it
}

// kind checks a value and brings it into the form that is decoded: a truth value may have been a text.
type kind func(name string, value any) (any, error)

// attributes of the resources, as far as requests may have them. What every resource has is in common.
var attributes = map[string]map[string]attribute{
	"network": {
		"name": {kind: text}, "admin_state_up": {kind: boolean}, "shared": {kind: boolean, admin: true},
		"router:external": {kind: boolean, admin: true}, "mtu": {kind: mtu},
	},
	"subnet": {
		"name": {kind: text}, "network_id": {kind: uuid, required: true, fixed: true}, "ip_version": {kind: ipVersion, required: true, fixed: true},
		"cidr": {kind: cidr, fixed: true}, "gateway_ip": {kind: ipOrNull}, "allocation_pools": {kind: whatever}, "enable_dhcp": {kind: boolean},
		"dns_nameservers": {kind: whatever}, "host_routes": {kind: whatever},
	},
	"port": {
		"name": {kind: text}, "network_id": {kind: uuid, required: true, fixed: true}, "fixed_ips": {kind: fixedIPs}, "mac_address": {kind: mac, admin: true},
		"device_id": {kind: text}, "device_owner": {kind: text}, "security_groups": {kind: uuids}, "allowed_address_pairs": {kind: addressPairs},
		"admin_state_up": {kind: boolean}, "port_security_enabled": {kind: boolean}, "binding:host_id": {kind: whatever, admin: true},
	},
	"router": {
		"name": {kind: text}, "admin_state_up": {kind: boolean}, "external_gateway_info": {kind: whatever}, "routes": {kind: routes},
	},
	"floatingip": {
		"floating_network_id": {kind: uuid, required: true, fixed: true}, "subnet_id": {kind: uuidOrNull, fixed: true},
		"floating_ip_address": {kind: ipOrNull, fixed: true, admin: true}, "port_id": {kind: uuidOrNull}, "fixed_ip_address": {kind: ipOrNull},
	},
	"security_group": {"name": {kind: text}},
	"security_group_rule": {
		"security_group_id": {kind: whatever, required: true, fixed: true}, "direction": {kind: direction, required: true, fixed: true},
		"ethertype": {kind: whatever, fixed: true}, "protocol": {kind: protocol, fixed: true}, "port_range_min": {kind: portNumber, fixed: true},
		"port_range_max": {kind: portNumber, fixed: true}, "remote_ip_prefix": {kind: whatever, fixed: true}, "remote_group_id": {kind: whatever, fixed: true},
	},
	"quota": {
		"network": {kind: limit}, "subnet": {kind: limit}, "port": {kind: limit}, "router": {kind: limit}, "floatingip": {kind: limit},
		"security_group": {kind: limit}, "security_group_rule": {kind: limit}, "subnetpool": {kind: limit}, "rbac_policy": {kind: limit},
	},
}

var common = map[string]attribute{
	"description": {kind: text}, "project_id": {kind: whatever}, "tenant_id": {kind: whatever},
	"id": {readOnly: true}, "status": {readOnly: true}, "tags": {readOnly: true}, "created_at": {readOnly: true},
	"updated_at": {readOnly: true}, "revision_number": {readOnly: true},
}

func attributeOf(member, name string) (attribute, bool) {
	a, ok := attributes[member][name]
	if !ok && member != "quota" {
		a, ok = common[name]
	}
	return a, ok
}

// decode reads the attributes of a request, checked and refused as Neutron does: the form of the body, whose project it
// is, what attributes there are and may be, their values, and in the end what only an administrator may give.
func decode(r *api.Request, member string, into any) error {
	given, err := given(r, member)
	if err != nil {
		return err
	}
	if err := mayBe(r, member, given); err != nil {
		return err
	}
	names := slices.Sorted(maps.Keys(given))
	for _, name := range names {
		a, _ := attributeOf(member, name)
		if given[name], err = a.kind(name, given[name]); err != nil {
			return err
		}
	}
	if err := policy(r, member, given); err != nil {
		return err
	}
	content, err := json.Marshal(given)
	if err != nil {
		return err
	}
	return json.Unmarshal(content, into)
}

// given reads the body. Numbers keep their spelling.
func given(r *api.Request, member string) (map[string]any, error) {
	content, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, api.BadRequest("Could not read the request body: %v", err)
	}
	missing := api.BadRequest("Unable to find '%s' in request body", member)
	if len(content) == 0 {
		return nil, missing
	}
	var body map[string]any
	decoder := json.NewDecoder(bytes.NewReader(content))
	decoder.UseNumber()
	if decoder.Decode(&body) != nil {
		return nil, api.BadRequest("Body contains invalid data")
	}
	attributes, ok := body[member].(map[string]any)
	if !ok {
		return nil, missing
	}
	return attributes, nil
}

// mayBe checks which attributes there are.
func mayBe(r *api.Request, member string, given map[string]any) error {
	for _, owner := range []string{"project_id", "tenant_id"} {
		if id, ok := given[owner]; ok && id != r.Caller.ProjectID && !admin(r) {
			return api.BadRequest("Specifying 'project_id' or 'tenant_id' other than the authenticated project in request requires admin or advsvc privileges")
		}
	}
	var unknown []string
	names := slices.Sorted(maps.Keys(given))
	for _, name := range names {
		if _, ok := attributeOf(member, name); !ok {
			unknown = append(unknown, name)
		}
	}
	if len(unknown) > 0 {
		return api.BadRequest("Unrecognized attribute(s) '%s'", strings.Join(unknown, ", "))
	}
	for _, name := range names {
		switch a, _ := attributeOf(member, name); {
		case r.Method == http.MethodPost && a.readOnly:
			return api.BadRequest("Attribute '%s' not allowed in POST", name)
		case r.Method == http.MethodPut && (a.readOnly || a.fixed):
			return api.BadRequest("Cannot update read-only attribute %s", name)
		}
	}
	if r.Method != http.MethodPost {
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(attributes[member])) {
		if _, ok := given[name]; !ok && attributes[member][name].required {
			return api.BadRequest("Failed to parse request. Required attribute '%s' not specified", name)
		}
	}
	return nil
}

// policy refuses what only an administrator may give. A port's address may be chosen at its creation.
func policy(r *api.Request, member string, given map[string]any) error {
	if admin(r) {
		return nil
	}
	rule := map[string]string{http.MethodPost: "create_", http.MethodPut: "update_"}[r.Method] + member
	for _, name := range slices.Sorted(maps.Keys(given)) {
		a, _ := attributeOf(member, name)
		switch {
		case !a.admin || given[name] == false || given[name] == nil:
		case name == "mac_address" && r.Method == http.MethodPost:
		default:
			return disallowed(rule, name)
		}
	}
	gateway, _ := given["external_gateway_info"].(map[string]any)
	for _, name := range []string{"enable_snat", "external_fixed_ips"} {
		if _, ok := gateway[name]; ok {
			return engine.RefuseAs(engine.Forbidden, "PolicyNotAuthorized",
				"(rule:%[1]s and (rule:%[1]s:external_gateway_info and (rule:%[1]s:external_gateway_info:network_id and rule:%[1]s:external_gateway_info:%[2]s))) is disallowed by policy",
				rule, name)
		}
	}
	return nil
}

// wrongValue is the refusal of a value in the words of Neutron's validators; invalidInput in those of its converters.
func wrongValue(name, format string, args ...any) error {
	return api.BadRequest("Invalid input for %s. Reason: %s", name, fmt.Sprintf(format, args...))
}

func invalidInput(format string, args ...any) error {
	return engine.RefuseAs(engine.Invalid, "InvalidInput", "Invalid input for operation: "+format, args...)
}

// python is a value as Python writes it.
func python(value any) string {
	switch v := value.(type) {
	case nil:
		return "None"
	case bool:
		return strings.ToUpper(strconv.FormatBool(v)[:1]) + strconv.FormatBool(v)[1:]
	}
	return fmt.Sprint(value)
}

const maxText = 255

func whatever(_ string, value any) (any, error) { return value, nil }

func text(name string, value any) (any, error) {
	s, ok := value.(string)
	switch {
	case !ok:
		return nil, wrongValue(name, "'%s' is not a valid string.", python(value))
	case len(s) > maxText:
		return nil, wrongValue(name, "'%s' exceeds maximum length of %d.", s, maxText)
	}
	return s, nil
}

// boolean reads what Neutron takes for a truth value.
func boolean(_ string, value any) (any, error) {
	switch strings.ToLower(python(value)) {
	case "true", "1":
		return true, nil
	case "false", "0":
		return false, nil
	}
	return nil, invalidInput("'%s' cannot be converted to boolean.", python(value))
}

func integer(_ string, value any) (any, error) {
	n, err := strconv.Atoi(python(value))
	if err != nil {
		return nil, invalidInput("'%s' is not an integer.", python(value))
	}
	return n, nil
}

// maxMTU is that of tenant networks: an overlay on 1500.
const maxMTU = 1442

func mtu(name string, value any) (any, error) {
	n, err := integer(name, value)
	if err == nil && n.(int) > maxMTU {
		err = invalidInput("Requested MTU is too big, maximum is %d.", maxMTU)
	}
	return n, err
}

func limit(name string, value any) (any, error) {
	n, err := integer(name, value)
	if err == nil && n.(int) < -1 {
		err = wrongValue(name, "'%d' is too small - must be at least '-1'.", n)
	}
	return n, err
}

var uuidForm = regexp.MustCompile(`^[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}$`)

func uuid(name string, value any) (any, error) {
	if s, ok := value.(string); ok && uuidForm.MatchString(s) {
		return s, nil
	}
	return nil, wrongValue(name, "'%s' is not a valid UUID.", python(value))
}

func uuidOrNull(name string, value any) (any, error) {
	if value == nil {
		return nil, nil //nolint:nilnil // null is a value
	}
	return uuid(name, value)
}

func uuids(name string, value any) (any, error) {
	list, ok := value.([]any)
	if value == nil {
		return []string{}, nil
	}
	if !ok {
		return nil, wrongValue(name, "'%s' is not a list.", python(value))
	}
	for _, one := range list {
		if _, err := uuid(name, one); err != nil {
			return nil, err
		}
	}
	return list, nil
}

func ip(name string, value any) (any, error) {
	if _, err := netip.ParseAddr(python(value)); err != nil {
		return nil, wrongValue(name, "'%s' is not a valid IP address.", python(value))
	}
	return value, nil
}

func ipOrNull(name string, value any) (any, error) {
	if value == nil || value == "" {
		return nil, nil //nolint:nilnil // null is a value
	}
	return ip(name, value)
}

func ipVersion(name string, value any) (any, error) {
	n, err := integer(name, value)
	if err == nil && n != 4 && n != 6 {
		err = wrongValue(name, "%d is not in valid_values.", n)
	}
	return n, err
}

func cidr(_ string, value any) (any, error) {
	if _, err := netip.ParsePrefix(python(value)); err != nil && value != nil {
		return nil, invalidInput("%s is not in a CIDR format.", python(value))
	}
	return value, nil
}

var macForm = regexp.MustCompile(`^([0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2}$`)

func mac(name string, value any) (any, error) {
	if s, ok := value.(string); !ok || !macForm.MatchString(s) {
		return nil, wrongValue(name, "'%s' is not a valid MAC address.", python(value))
	}
	return value, nil
}

func fixedIPs(name string, value any) (any, error) {
	list, ok := value.([]any)
	if value != nil && !ok {
		return nil, wrongValue(name, "Invalid data format for fixed IP: '%s'.", python(value))
	}
	for _, one := range list {
		entry, _ := one.(map[string]any)
		subnet, hasSubnet := entry["subnet_id"]
		address, hasAddress := entry["ip_address"]
		if !hasSubnet && !hasAddress {
			return nil, invalidInput("IP allocation requires subnet_id or ip_address.")
		}
		if hasSubnet {
			if _, err := uuid(name, subnet); err != nil {
				return nil, err
			}
		}
		if hasAddress {
			if _, err := ip(name, address); err != nil {
				return nil, err
			}
		}
	}
	return value, nil
}

func addressPairs(_ string, value any) (any, error) {
	list, _ := value.([]any)
	seen := map[string]bool{}
	for _, one := range list {
		entry, _ := one.(map[string]any)
		address, ok := entry["ip_address"]
		if !ok {
			return nil, engine.RefuseAs(engine.Invalid, "AllowedAddressPairsMissingIP", "AllowedAddressPair must contain ip_address")
		}
		_, errAddress := netip.ParseAddr(python(address))
		if _, err := netip.ParsePrefix(python(address)); err != nil && errAddress != nil {
			return nil, api.BadRequest("'%s' is not a valid IP address", python(address))
		}
		key := python(entry["mac_address"]) + " ip_address " + python(address)
		if seen[key] {
			return nil, engine.RefuseAs(engine.Invalid, "DuplicateAddressPairInRequest", "Request contains duplicate address pair: mac_address %s.", key)
		}
		seen[key] = true
	}
	if list == nil {
		return []any{}, nil
	}
	return list, nil
}

func direction(name string, value any) (any, error) {
	if value != "ingress" && value != "egress" {
		return nil, wrongValue(name, "%s is not in valid_values.", python(value))
	}
	return value, nil
}

// protocol may be a number.
func protocol(_ string, value any) (any, error) {
	if value == nil {
		return nil, nil //nolint:nilnil // null is a value
	}
	return python(value), nil
}

func portNumber(_ string, value any) (any, error) {
	if value == nil {
		return nil, nil //nolint:nilnil // null is a value
	}
	n, err := strconv.Atoi(python(value))
	if err != nil {
		return nil, engine.RefuseAs(engine.Invalid, "SecurityGroupInvalidPortValue", "Invalid value for port %s", python(value))
	}
	return n, nil
}

// routes checks the form of a router's routes.
func routes(name string, value any) (any, error) {
	list, _ := value.([]any)
	seen := map[string]bool{}
	for _, one := range list {
		entry, _ := one.(map[string]any)
		destination, hop := python(entry["destination"]), python(entry["nexthop"])
		prefix, err := netip.ParsePrefix(destination)
		if err != nil {
			return nil, wrongValue(name, "'%s' is not a valid CIDR.", destination)
		}
		if prefix != prefix.Masked() {
			return nil, wrongValue(name, "'%s' is not a recognized CIDR, '%s' is recommended.", destination, prefix.Masked())
		}
		if _, err := ip(name, hop); err != nil {
			return nil, err
		}
		key := fmt.Sprintf("{'destination': '%s', 'nexthop': '%s'}", destination, hop)
		if seen[key] {
			return nil, wrongValue(name, "Duplicate hostroute '%s'.", key)
		}
		seen[key] = true
	}
	return value, nil
}

package network

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/fairlead-io/fairlead/pkg/devcloud/engine"
)

// EnsureDefaultGroup returns the project's group named default, which Neutron makes by itself.
func (s *Service) EnsureDefaultGroup(tx *engine.Tx, project string) SecurityGroup {
	for _, g := range s.groups.Where(tx, func(g SecurityGroup) bool { return g.ProjectID == project && g.Name == "default" }) {
		return g
	}
	g := s.putGroup(tx, project, "default", "Default security group")
	for _, family := range []string{"IPv4", "IPv6"} {
		s.rules.Put(tx, Rule{
			Standard: s.born(Standard{ProjectID: project}), GroupID: g.ID, NoDescription: true,
			Direction: "ingress", EtherType: family, RemoteGroupID: g.ID,
		})
	}
	return g
}

func (s *Service) putGroup(tx *engine.Tx, project, name, description string) SecurityGroup {
	g := SecurityGroup{s.born(Standard{ProjectID: project, Name: name, Description: description})}
	g.Revision = 1
	s.groups.Put(tx, g)
	for _, family := range []string{"IPv4", "IPv6"} {
		s.rules.Put(tx, Rule{
			Standard: s.born(Standard{ProjectID: project}), GroupID: g.ID, NoDescription: true,
			Direction: "egress", EtherType: family,
		})
	}
	return g
}

// CreateGroup makes a security group that lets everything out and nothing in.
func (s *Service) CreateGroup(tx *engine.Tx, project, name, description string) (SecurityGroup, error) {
	s.EnsureDefaultGroup(tx, project)
	if name == "default" {
		return SecurityGroup{}, conflict("SecurityGroupDefaultAlreadyExists", "Default security group already exists.")
	}
	used := s.Usage(tx, project)
	if err := room("security_group", used.SecurityGroup, s.Quota(tx, project).SecurityGroup); err != nil {
		return SecurityGroup{}, err
	}
	if err := room("security_group_rule", used.SecurityGroupRule+1, s.Quota(tx, project).SecurityGroupRule); err != nil {
		return SecurityGroup{}, err
	}
	return s.putGroup(tx, project, name, description), nil
}

// Group returns a security group.
func (s *Service) Group(tx *engine.Tx, id string) (SecurityGroup, error) {
	g, ok := s.groups.Get(tx, id)
	if !ok {
		return g, Absent("security-groups", id)
	}
	return g, nil
}

// Groups are all security groups, oldest first.
func (s *Service) Groups(tx *engine.Tx) []SecurityGroup { return s.groups.Where(tx, nil) }

// UpdateGroup changes a group's name and description.
func (s *Service) UpdateGroup(tx *engine.Tx, id string, naming Naming) (SecurityGroup, error) {
	g, err := s.Group(tx, id)
	if err != nil {
		return g, err
	}
	if g.Name == "default" && naming.Name != nil && *naming.Name != "default" {
		return g, conflict("SecurityGroupCannotUpdateDefault", "Updating default security group not allowed.")
	}
	if g.Name != "default" && naming.Name != nil && *naming.Name == "default" {
		return g, conflict("SecurityGroupDefaultAlreadyExists", "Default security group already exists.")
	}
	g.Standard = s.changed(naming.apply(g.Standard))
	s.groups.Put(tx, g)
	return g, nil
}

// DeleteGroup removes a group that no port uses.
func (s *Service) DeleteGroup(tx *engine.Tx, id string) error {
	g, err := s.Group(tx, id)
	if err != nil {
		return err
	}
	if users := s.ports.Where(tx, func(p Port) bool { return slices.Contains(p.SecurityGroups, id) }); len(users) > 0 {
		return conflict("SecurityGroupInUse", "Security Group %s in use.", id)
	}
	if g.Name == "default" {
		return conflict("SecurityGroupCannotRemoveDefault", "Insufficient rights for removing default security group.")
	}
	for _, r := range s.rules.Where(tx, func(r Rule) bool { return r.GroupID == id || r.RemoteGroupID == id }) {
		s.rules.Delete(tx, r.ID)
	}
	s.groups.Delete(tx, id)
	return nil
}

// CreateRule adds a rule to its group. Only what a caller may choose is read from r.
func (s *Service) CreateRule(tx *engine.Tx, r Rule) (Rule, error) {
	g, err := s.Group(tx, r.GroupID)
	if err != nil {
		return r, err
	}
	if err := room("security_group_rule", count(tx, s.rules, r.ProjectID), s.Quota(tx, r.ProjectID).SecurityGroupRule); err != nil {
		return r, err
	}
	if r, err = checkedRule(r); err != nil {
		return r, err
	}
	if r.RemoteGroupID != "" {
		if _, err := s.Group(tx, r.RemoteGroupID); err != nil {
			return r, err
		}
	}
	for _, other := range s.RulesOf(tx, r.GroupID) {
		if sameTraffic(other, r) {
			return r, conflict("SecurityGroupRuleExists", "Security group rule already exists. Rule id is %s.", other.ID)
		}
	}
	r.Standard = s.born(Standard{ProjectID: r.ProjectID, Description: r.Description})
	s.rules.Put(tx, r)
	g.Standard = s.changed(g.Standard)
	s.groups.Put(tx, g)
	return r, nil
}

func sameTraffic(a, b Rule) bool {
	same := func(x, y *int) bool { return x == nil && y == nil || x != nil && y != nil && *x == *y }
	return a.Direction == b.Direction && a.EtherType == b.EtherType && protocolNumber(a.Protocol) == protocolNumber(b.Protocol) &&
		same(a.PortMin, b.PortMin) && same(a.PortMax, b.PortMax) &&
		a.RemotePrefix == b.RemotePrefix && a.RemoteGroupID == b.RemoteGroupID
}

// numbers are those of the protocols whose names are used most.
var numbers = map[string]string{"icmp": "1", "tcp": "6", "udp": "17", "ipv6-icmp": "58", "vrrp": "112", "sctp": "132"}

// protocolNumber is a protocol by its number, where it is known.
func protocolNumber(protocol string) string {
	if n, ok := numbers[protocol]; ok {
		return n
	}
	return protocol
}

func checkedRule(r Rule) (Rule, error) {
	switch strings.ToLower(r.EtherType) {
	case "", "ipv4":
		r.EtherType = "IPv4"
	case "ipv6":
		r.EtherType = "IPv6"
	}
	r.Protocol = strings.ToLower(r.Protocol)
	switch {
	case r.Direction != "ingress" && r.Direction != "egress":
		return r, invalid("HTTPBadRequest", "Invalid input for direction. Reason: '%s' is not in ['ingress', 'egress'].", r.Direction)
	case r.EtherType != "IPv4" && r.EtherType != "IPv6":
		return r, invalid("SecurityGroupRuleInvalidEtherType", "Security group rule for ethertype '%s' not supported. Allowed values are ['IPv4', 'IPv6'].", r.EtherType)
	case r.RemotePrefix != "" && r.RemoteGroupID != "":
		return r, invalid("SecurityGroupMultipleRemoteEntites", "Only one of remote_ip_prefix or remote_group_id or remote_address_group_id may be provided.")
	}
	if err := checkProtocol(&r); err != nil {
		return r, err
	}
	if err := checkPorts(r); err != nil {
		return r, err
	}
	if r.RemotePrefix == "" {
		return r, nil
	}
	if a, err := netip.ParseAddr(r.RemotePrefix); err == nil {
		r.RemotePrefix = netip.PrefixFrom(a, a.BitLen()).String()
	}
	cidr, err := netip.ParsePrefix(r.RemotePrefix)
	if err != nil {
		return r, invalid("InvalidCIDR", "Invalid CIDR %s given as IP prefix.", r.RemotePrefix)
	}
	if cidr.Addr().Is4() != (r.EtherType == "IPv4") {
		return r, invalid("SecurityGroupRuleParameterConflict", "Conflicting value ethertype %s for CIDR %s", r.EtherType, r.RemotePrefix)
	}
	r.NormalizedCIDR = cidr.Masked().String()
	return r, nil
}

// protocols are the names that Neutron knows, in the order in which it tells them.
var protocols = []string{
	"ah", "dccp", "egp", "esp", "gre", "hopopt", "icmp", "igmp", "ip", "ipip", "ipv6-encap", "ipv6-frag", "ipv6-icmp", "icmpv6",
	"ipv6-nonxt", "ipv6-opts", "ipv6-route", "ospf", "pgm", "rsvp", "sctp", "tcp", "udp", "udplite", "vrrp",
}

// checkProtocol refuses unknown protocols and those of the other IP version; ICMP for IPv6 has one name in the end.
func checkProtocol(r *Rule) error {
	number, err := strconv.Atoi(r.Protocol)
	if r.Protocol != "" && !slices.Contains(protocols, r.Protocol) && (err != nil || number < 0 || number > 255) {
		return invalid("SecurityGroupRuleInvalidProtocol",
			"Security group rule protocol %s not supported. Only protocol values [None, '%s'] and integer representations [0 to 255] are supported.",
			r.Protocol, strings.Join(protocols, "', '"))
	}
	if r.EtherType == "IPv6" && (r.Protocol == "icmp" || r.Protocol == "icmpv6") {
		r.Protocol = "ipv6-icmp"
	}
	if r.EtherType == "IPv4" && (r.Protocol == "icmpv6" || strings.HasPrefix(r.Protocol, "ipv6-")) {
		return invalid("SecurityGroupEthertypeConflictWithProtocol", "Invalid ethertype IPv4 for protocol %s.", r.Protocol)
	}
	return nil
}

func checkPorts(r Rule) error {
	if r.PortMin == nil && r.PortMax == nil {
		return nil
	}
	for _, port := range []*int{r.PortMin, r.PortMax} {
		if port != nil && (*port < 0 || *port > 65535) {
			return invalid("SecurityGroupInvalidPortValue", "Invalid value for port %d", *port)
		}
	}
	switch {
	case r.Protocol == "":
		return invalid("SecurityGroupProtocolRequiredWithPorts", "Must also specify protocol if port range is given.")
	case strings.Contains(r.Protocol, "icmp"):
		return checkICMP(r)
	case r.PortMin != nil && *r.PortMin == 0:
		return invalid("SecurityGroupInvalidPortValue", "Invalid value for port 0")
	case r.PortMin == nil || r.PortMax == nil || *r.PortMin > *r.PortMax:
		return invalid("SecurityGroupInvalidPortRange", "For TCP/UDP protocols, port_range_min must be <= port_range_max")
	}
	return nil
}

// checkICMP checks type and code, for which ICMP uses the ports.
func checkICMP(r Rule) error {
	for what, value := range map[string]*int{"type (port_range_min)": r.PortMin, "code (port_range_max)": r.PortMax} {
		if value != nil && *value > 255 {
			return invalid("SecurityGroupInvalidIcmpValue", "Invalid value for ICMP %s %d. It must be 0 to 255.", what, *value)
		}
	}
	if r.PortMin == nil && r.PortMax != nil {
		return invalid("SecurityGroupMissingIcmpType", "ICMP code (port-range-max) %d is provided but ICMP type (port-range-min) is missing.", *r.PortMax)
	}
	return nil
}

// Rule returns a rule.
func (s *Service) Rule(tx *engine.Tx, id string) (Rule, error) {
	r, ok := s.rules.Get(tx, id)
	if !ok {
		return r, Absent("security-group-rules", id)
	}
	return r, nil
}

// Rules are all rules, oldest first.
func (s *Service) Rules(tx *engine.Tx) []Rule { return s.rules.Where(tx, nil) }

// RulesOf are a group's rules, oldest first.
func (s *Service) RulesOf(tx *engine.Tx, groupID string) []Rule {
	return s.rules.Where(tx, func(r Rule) bool { return r.GroupID == groupID })
}

// DeleteRule removes a rule.
func (s *Service) DeleteRule(tx *engine.Tx, id string) error {
	if _, err := s.Rule(tx, id); err != nil {
		return err
	}
	s.rules.Delete(tx, id)
	return nil
}

package contract

import (
	"net/http"
	"strings"
	"time"
)

// pair makes the volumes a (older) and b, which differ in everything that is filtered by.
func pair(s *scene) {
	s.volume("a", `"metadata":{"k":"v","l":"w"}`)
	sleep(s.t, 1100*time.Millisecond) // times have whole seconds
	s.volume("b", `"size":2,"volume_type":"fast","availability_zone":"{zone2}"`)
}

// volumeFilters are queries and the volumes of pair that they give.
var volumeFilters = []struct{ query, want string }{
	{"", "b a"},
	{"?name=a", "a"},
	{"?name=nobody", ""},
	{"?name=b&status=available", "b"},
	{"?name=a&size=2", ""},
	{"?status=available", "b a"},
	{"?status=in-use", ""},
	{"?size=1", "a"},
	{"?availability_zone=az2", "b"},
	{"?metadata={'k':'v'}", "a"},
	{"?metadata=%7B%22k%22%3A%22v%22%7D", "a"},
	{"?metadata={'k':'v','l':'w'}", "a"},
	{"?metadata={'k':'other'}", ""},
	{"?metadata=nonsense", ""},
	{"?bootable=true", ""},
	{"?bootable=false", "b a"},
	{"?sort=name:asc", "a b"},
	{"?sort=name:desc", "b a"},
	{"?sort=size:asc", "a b"},
	{"?sort=size", "b a"},
	{"?sort=status:asc,name:asc", "a b"},
	{"?sort_key=name&sort_dir=asc", "a b"},
	{"?sort=created_at:asc", "a b"},
	{"?limit=1", "b"},
	{"?limit=0", ""},
	{"?limit=5000", "b a"},
	{"?limit=1&offset=1", "a"},
	{"?marker={b}", "a"},
	{"?marker={a}", ""},
	{"?limit=1&marker={b}", "a"},
	{"?sort=name:asc&marker={a}", "b"},
	{"?all_tenants=1", "b a"},
}

var volumeListCases = []Case{
	{Name: "lists are filtered, sorted and cut", Run: at(Volume, func(s *scene) {
		pair(s)
		for _, f := range volumeFilters {
			a := s.get("/volumes" + f.query)
			same(s.t, "volumes"+f.query, values(a, "volumes", "name"), strings.Fields(f.want)...)
		}
	})},
	{Name: "a full page links to the next one", Run: at(Volume, func(s *scene) {
		pair(s)
		first := s.get("/volumes/detail?limit=1&name=b")
		s.is(first, "volumes_links.0.rel", "next")
		all, path := []string(nil), "/volumes?limit=1"
		for path != "" {
			page := s.get(path)
			all, path = append(all, values(page, "volumes", "name")...), page.Text("volumes_links.0.href")
		}
		same(s.t, "all pages", all, "b", "a")
	})},
	{Name: "a count is given from microversion 3.45 on", Run: at(Volume, func(s *scene) {
		pair(s)
		s.is(s.version("3.30").get("/volumes?with_count=True&limit=1"), "count", "")
		s.version("3.44").refused("GET /volumes?with_count=True", "", 400, "badRequest", "Invalid filters with_count are found in query options.")
		s.is(s.version("3.45").get("/volumes?with_count=True&limit=1"), "count", "2")
		s.is(s.version("3.45").get("/volumes/detail?with_count=True&name=a"), "count", "1")
	})},
	{Name: "unknown filters are ignored before microversion 3.31, and refused from then on", Run: at(Volume, func(s *scene) {
		s.volume("a", "")
		for _, query := range []string{"?colour=red", "?volume_type=fast", "?id={nobody}", "?user_id=x"} {
			same(s.t, query, values(s.version("3.30").get("/volumes"+query), "volumes", "name"), "a")
			name, _, _ := strings.Cut(strings.TrimPrefix(query, "?"), "=")
			s.version("3.31").refused("GET /volumes"+query, "", 400, "badRequest", "Invalid filters "+name+" are found in query options.")
		}
		s.version("3.70").get("/volumes/detail?name=a&status=available&limit=1&sort=name:asc&all_tenants=0")
	})},
	{Name: "volumes are filtered by time from microversion 3.60 on", Run: at(Volume, func(s *scene) {
		s.volume("a", "")
		for query, want := range inOrder[string, string]("?created_at=gt:2020-01-01T00:00:00", "a", "?created_at=lt:2020-01-01T00:00:00", "") {
			same(s.t, query, values(s.version("3.60").get("/volumes"+query), "volumes", "name"), strings.Fields(want)...)
		}
	})},
	{Name: "a list is refused: limit, offset, marker or order make no sense", Run: at(Volume, func(s *scene) {
		s.refused("GET /volumes?limit=-1", "", 400, "badRequest", "limit param must be positive")
		s.refused("GET /volumes?limit=x", "", 400, "badRequest", "limit param must be an integer")
		s.refused("GET /volumes?offset=x", "", 400, "badRequest", "offset")
		s.refused("GET /volumes?marker={nobody}", "", 404, "itemNotFound", "Volume {nobody} could not be found.")
		s.refused("GET /volumes?sort=colour", "", 400, "badRequest", "Invalid input received: Invalid sort key")
		s.refused("GET /volumes?sort=name:up", "", 400, "badRequest", "Unknown sort direction")
	})},
	{Name: "an empty list is a list, with and without details", Run: at(Volume, func(s *scene) {
		for _, path := range []string{"/volumes", "/volumes/detail"} {
			if list, ok := s.get(path).At("volumes").([]any); !ok || len(list) != 0 {
				s.t.Errorf("%s: %v", path, list)
			}
		}
	})},
}

var volumeFactCases = []Case{
	{Name: "the types, one of which is the default", Run: at(Volume, func(s *scene) {
		a := s.get("/types")
		names := values(a, "volume_types", "name")
		for i, name := range []string{s.c.VolumeType, s.c.OtherType, s.c.MultiattachType} {
			if !strings.Contains(" "+strings.Join(names, " ")+" ", " "+name+" ") {
				s.t.Errorf("type %d is not among %v", i, names)
			}
		}
		s.is(s.get("/types/default"), "volume_type.name", s.c.VolumeType)
		for i, name := range names {
			if name == s.c.MultiattachType {
				s.names["type"] = values(a, "volume_types", "id")[i]
			}
		}
		s.is(s.get("/types/{type}"), "volume_type.name", s.c.MultiattachType, "volume_type.extra_specs.multiattach", "<is> True")
		s.refused("GET /types/nonsense", "", 404, "itemNotFound", "Volume type nonsense could not be found.")
		page := s.get("/types?limit=1&sort=name:asc")
		s.is(page, "volume_type_links.0.rel", "next")
		s.get(page.Text("volume_type_links.0.href"))
	})},
	{Name: "the zones are available", Run: at(Volume, func(s *scene) {
		a := s.get("/os-availability-zone")
		same(s.t, "zones", values(a, "availabilityZoneInfo", "zoneName"), s.c.Zones[:]...)
		same(s.t, "available", values(a, "availabilityZoneInfo", "zoneState.available"), "true", "true")
	})},
	{Name: "limits tell what is used", Run: at(Volume, func(s *scene) {
		s.volume("v", `"size":3`)
		s.is(s.get("/limits"), "limits.absolute.maxTotalVolumes", "10", "limits.absolute.maxTotalVolumeGigabytes", "1000",
			"limits.absolute.totalVolumesUsed", "1", "limits.absolute.totalGigabytesUsed", "3", "limits.rate", "[]")
	})},
	{Name: "the quota tells what is used, by type, too", Run: at(Volume, func(s *scene) {
		s.volume("v", `"size":3,"volume_type":"fast"`)
		s.is(s.get("/os-quota-sets/{project}"), "quota_set.id", "{project}", "quota_set.volumes", "10", "quota_set.gigabytes", "1000",
			"quota_set.per_volume_gigabytes", "-1", "quota_set.gigabytes_fast", "-1")
		s.is(s.get("/os-quota-sets/{project}?usage=True"), "quota_set.volumes", `{"in_use":1,"limit":10,"reserved":0}`,
			"quota_set.gigabytes", `{"in_use":3,"limit":1000,"reserved":0}`, "quota_set.gigabytes_fast", `{"in_use":3,"limit":-1,"reserved":0}`,
			"quota_set.volumes_standard", `{"in_use":0,"limit":-1,"reserved":0}`)
		s.is(s.get("/os-quota-sets/{project}/defaults"), "quota_set.id", "{project}", "quota_set.per_volume_gigabytes", "-1")
		s.refused("GET /os-quota-sets/{project}?usage=perhaps", "", 400, "badRequest", "Value 'perhaps' for 'usage' is not a boolean.")
		s.refused("GET /os-quota-sets/00000000000000000000000000000000", "", 403, "forbidden", "Policy doesn't allow volume_extension:quotas:show to be performed.")
	})},
	{Name: "messages are there from microversion 3.3 on", Run: at(Volume, func(s *scene) {
		s.version("3.2").refused("GET /messages", "", 404, "itemNotFound", "The resource could not be found.")
		s.version("3.3").get("/messages?resource_uuid={nobody}")
		s.version("3.3").refused("GET /messages/{nobody}", "", 404, "itemNotFound", "Message {nobody} could not be found.")
	})},
	{Name: "what is an administrator's to see is forbidden", Run: at(Volume, func(s *scene) {
		s.refused("GET /os-services", "", http.StatusForbidden, "forbidden", "Policy doesn't allow volume_extension:services:index to be performed.")
		s.refused("GET /scheduler-stats/get_pools", "", http.StatusForbidden, "forbidden", "Policy doesn't allow scheduler_extension:scheduler_stats:get_pools to be performed.")
	})},
}

package contract

import "net/http"

// negotiation are microversions asked for, and what is answered: the one in force, or a refusal.
var negotiation = map[string][]struct {
	asked, got, refused string
	status              int
}{
	Volume: {
		{asked: "", got: "3.0"},
		{asked: "volume 3.0", got: "3.0"},
		{asked: "volume 3.42", got: "3.42"},
		{asked: "volume 3.70", got: "3.70"},
		{asked: "volume latest", got: "3.70"},
		{asked: "volume 3.60, compute 2.79", got: "3.60"},
		{asked: "volume 3.999", status: 406, refused: "Version 3.999 is not supported by the API. Minimum is 3.0 and maximum is 3.70."},
		{asked: "volume 2.0", status: 406, refused: "Version 2.0 is not supported by the API. Minimum is 3.0 and maximum is 3.70."},
		{asked: "volume nonsense", status: 400, refused: "API Version String nonsense is of invalid format. Must be of format MajorNum.MinorNum."},
	},
	Compute: {
		{asked: "", got: "2.1"},
		{asked: "compute 2.1", got: "2.1"},
		{asked: "compute 2.79", got: "2.79"},
		{asked: "compute 2.93", got: "2.93"},
		{asked: "compute latest", got: "2.93"},
		{asked: "volume 3.60, compute 2.79", got: "2.79"},
		{asked: "volume 3.60", got: "2.1"},
		{asked: "compute 2.999", status: 406, refused: "Version 2.999 is not supported by the API. Minimum is 2.1 and maximum is 2.93."},
		{asked: "compute 3.0", status: 406, refused: "Version 3.0 is not supported by the API. Minimum is 2.1 and maximum is 2.93."},
		{asked: "compute nonsense", status: 400, refused: "API Version String nonsense is of invalid format. Must be of format MajorNum.MinorNum."},
	},
}

// negotiates is a case for the microversions of a service.
func negotiates(service, list string) Case {
	return Case{Name: "microversions: none, the lowest, the highest, the latest, unsupported ones", Run: at(service, func(s *scene) {
		for _, n := range negotiation[service] {
			a := s.ask("GET "+list, "", Header("OpenStack-API-Version", n.asked))
			if n.refused != "" {
				a.Want(s.t, n.status)
				if _, message := fault(a); message != n.refused {
					s.t.Errorf("%q was refused with %q, want %q", n.asked, message, n.refused)
				}
				continue
			}
			a.Want(s.t, http.StatusOK)
			kind := map[string]string{Volume: "volume ", Compute: "compute "}[service]
			if got := a.Header.Get("OpenStack-API-Version"); got != kind+n.got {
				s.t.Errorf("%q was answered with version %q, want %q", n.asked, got, kind+n.got)
			}
		}
	})}
}

// unauthorized is a case for requests without a valid token.
func unauthorized(service, list string) Case {
	return Case{Name: "without a valid token: 401, and where to get one", Run: at(service, func(s *scene) {
		for _, token := range []string{"", "nonsense"} {
			a := s.ask("GET "+list, "", Header("X-Auth-Token", token)).Want(s.t, http.StatusUnauthorized)
			s.is(a, "error.code", "401", "error.title", "Unauthorized", "error.message", "The request you have made requires authentication.")
			if got, want := a.Header.Get("Www-Authenticate"), `Keystone uri="`+s.c.Root(Identity)+`/v3"`; got != want {
				s.t.Errorf("WWW-Authenticate is %q, want %q", got, want)
			}
		}
	})}
}

// unrouted is a case for paths and methods that do not exist.
func unrouted(service, list string) Case {
	return Case{Name: "an unknown path or method: 404", Run: at(service, func(s *scene) {
		for _, request := range []string{"GET /nothing", "PATCH " + list, "GET " + list + "/{nobody}/nothing/at/all"} {
			s.is(s.ask(request, "").Want(s.t, http.StatusNotFound), "title", "Not Found", "code", "404 Not Found")
		}
	})}
}

var volumeVersionCases = []Case{
	negotiates(Volume, "/volumes"),
	unauthorized(Volume, "/volumes"),
	unrouted(Volume, "/volumes"),
	{Name: "the version document needs no token, that of version 3 needs one", Run: at(Volume, func(s *scene) {
		s.c.Do(s.t, Volume, http.MethodGet, s.c.Root(Volume)+"/v3/", nil, anonymous()).Want(s.t, http.StatusUnauthorized)
		for _, a := range []Answer{
			s.c.Do(s.t, Volume, http.MethodGet, s.c.Root(Volume)+"/", nil, anonymous()).Want(s.t, http.StatusMultipleChoices),
			s.c.Do(s.t, Volume, http.MethodGet, s.c.Root(Volume)+"/v3/", nil).Want(s.t, http.StatusOK),
		} {
			s.is(a, "versions.0.id", "v3.0", "versions.0.status", "CURRENT", "versions.0.version", "3.70", "versions.0.min_version", "3.0",
				"versions.0.links.1.href", s.c.Root(Volume)+"/v3/")
		}
	})},
	{Name: "a volume gains fields with microversions", Run: at(Volume, func(s *scene) {
		s.volume("v", "")
		for _, version := range []string{"3.0", "3.12", "3.13", "3.47", "3.48", "3.62", "3.63", "3.64", "3.65", "3.70"} {
			s.version(version).get("/volumes/{v}")
			s.version(version).get("/volumes/detail")
		}
	})},
	{Name: "a path of another project is refused", Run: at(Volume, func(s *scene) {
		s.refused("GET "+s.c.Root(Volume)+"/v3/00000000000000000000000000000000/volumes", "", 400, "badRequest", "Malformed request url")
	})},
}

var computeVersionCases = []Case{
	negotiates(Compute, "/servers"),
	unauthorized(Compute, "/servers"),
	unrouted(Compute, "/servers"),
	{Name: "the version documents need no token", Run: at(Compute, func(s *scene) {
		for _, path := range []string{"/v2.1", "/v2.1/"} {
			a := s.c.Do(s.t, Compute, http.MethodGet, s.c.Root(Compute)+path, nil, anonymous()).Want(s.t, http.StatusOK)
			s.is(a, "version.id", "v2.1", "version.status", "CURRENT", "version.version", "2.93", "version.min_version", "2.1",
				"version.links.0.href", s.c.Root(Compute)+"/v2.1/")
		}
		a := s.c.Do(s.t, Compute, http.MethodGet, s.c.Root(Compute)+"/", nil, anonymous()).Want(s.t, http.StatusOK)
		same(s.t, "versions", values(a, "versions", "id"), "v2.0", "v2.1")
	})},
	{Name: "Nova's own older header is understood and answered", Run: at(Compute, func(s *scene) {
		a := s.ask("GET /servers", "", Header("X-OpenStack-Nova-API-Version", "2.60")).Want(s.t, http.StatusOK)
		if got := a.Header.Get("X-OpenStack-Nova-API-Version"); got != "2.60" {
			s.t.Errorf("answered %q", got)
		}
		a = s.ask("GET /servers", "", Header("X-OpenStack-Nova-API-Version", "2.60"), Microversion(Compute, "2.79")).Want(s.t, http.StatusOK)
		if got := a.Header.Get("OpenStack-API-Version"); got != "compute 2.79" {
			s.t.Errorf("answered %q", got)
		}
	})},
}

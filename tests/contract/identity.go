package contract

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

var identityCases = slices.Concat(tokenCases, credentialCases)

// anonymous leaves the token out.
func anonymous() Option { return Header("X-Auth-Token", "") }

// login asks for a token with an identity and, unless empty, a scope.
func (s *scene) login(identity, scope string) Answer {
	if scope != "" {
		scope = `,"scope":` + scope
	}
	return s.ask("POST /auth/tokens", `{"auth":{"identity":`+identity+scope+`}}`, anonymous())
}

// byPassword is an identity.
func (s *scene) byPassword() string {
	return fmt.Sprintf(`{"methods":["password"],"password":{"user":{"id":"{user}","password":%q}}}`, s.c.Password)
}

func byCredential(reference string) string {
	return `{"methods":["application_credential"],"application_credential":{` + reference + `}}`
}

// token is a token of its own, for cases that spoil it.
func (s *scene) token() string {
	return s.login(s.byPassword(), `{"project":{"id":"{project}"}}`).Want(s.t, http.StatusCreated).Header.Get("X-Subject-Token")
}

func about(token string) Option { return Header("X-Subject-Token", token) }

var tokenCases = []Case{
	{Name: "the versions document needs no token and says where v3 is", Run: at(Identity, func(s *scene) {
		root := strings.TrimSuffix(strings.TrimRight(s.c.Endpoints[Identity], "/"), "/v3")
		a := s.ask("GET "+root+"/", "", anonymous()).Want(s.t, http.StatusMultipleChoices)
		a.Equal(s.t, "versions.values.0.status", "stable")
		if got, want := a.Header.Get("Location"), a.Text("versions.values.0.links.0.href"); got != want || !strings.HasSuffix(got, "/v3/") {
			s.t.Errorf("Location is %q, the link %q", got, want)
		}
		for _, path := range []string{"", "/"} {
			s.ask("GET "+path, "", anonymous()).Want(s.t, http.StatusOK).Equal(s.t, "version.id", root3(a))
		}
	})},
	{Name: "a password gives a token for the project, with roles, a catalog and an end", Run: at(Identity, func(s *scene) {
		a := s.login(s.byPassword(), `{"project":{"id":"{project}"}}`).Want(s.t, http.StatusCreated)
		a.Equal(s.t, "token.project.id", s.c.ProjectID)
		a.Equal(s.t, "token.user.id", s.c.UserID)
		a.Equal(s.t, "token.methods", `["password"]`)
		a.Equal(s.t, "token.is_domain", "false")
		roles := values(a, "token.roles", "name")
		if slices.Sort(roles); !slices.Equal(roles, []string{"load-balancer_member", "member", "reader"}) {
			s.t.Errorf("the roles are %v", roles)
		}
		issued, err1 := time.Parse("2006-01-02T15:04:05.000000Z", a.Text("token.issued_at"))
		expires, err2 := time.Parse("2006-01-02T15:04:05.000000Z", a.Text("token.expires_at"))
		if err1 != nil || err2 != nil || !expires.After(issued) {
			s.t.Errorf("issued %v, expires %v", a.At("token.issued_at"), a.At("token.expires_at"))
		}
		if a.Header.Get("X-Subject-Token") == "" || a.Header.Get("Vary") != "X-Auth-Token" {
			s.t.Errorf("headers %v", a.Header)
		}
	})},
	{Name: "every service of the catalog has a public, an internal and an admin endpoint in the region", Run: at(Identity, func(s *scene) {
		a := s.get("/auth/catalog")
		for i, kind := range values(a, "catalog", "type") {
			endpoints := fmt.Sprintf("catalog.%d.endpoints", i)
			interfaces := values(a, endpoints, "interface")
			if slices.Sort(interfaces); !slices.Equal(interfaces, []string{"admin", "internal", "public"}) {
				s.t.Errorf("%s has the interfaces %v", kind, interfaces)
			}
			a.Equal(s.t, endpoints+".0.region_id", "RegionOne")
		}
	})},
	{Name: "a project is found by id, or by name within its domain by id or name", Run: at(Identity, func(s *scene) {
		s.names["name"] = s.get("/projects/{project}").Text("project.name")
		for _, scope := range []string{
			`{"project":{"id":"{project}"}}`, `{"project":{"name":"{name}","domain":{"id":"default"}}}`,
			`{"project":{"name":"{name}","domain":{"name":"Default"}}}`,
		} {
			s.login(s.byPassword(), scope).Want(s.t, http.StatusCreated).Equal(s.t, "token.project.id", s.c.ProjectID)
		}
	})},
	{Name: "a login without a scope is for the user's default project", Run: at(Identity, func(s *scene) {
		s.login(s.byPassword(), "").Want(s.t, http.StatusCreated).Equal(s.t, "token.project.id", s.c.ProjectID)
	})},
	{Name: "an unscoped token has no project, and lists the projects there are", Run: at(Identity, func(s *scene) {
		a := s.login(s.byPassword(), `"unscoped"`).Want(s.t, http.StatusCreated)
		if keys := a.Keys("token"); !slices.Equal(keys, []string{"audit_ids", "expires_at", "issued_at", "methods", "user"}) {
			s.t.Errorf("it has %v", keys)
		}
		unscoped := Header("X-Auth-Token", a.Header.Get("X-Subject-Token"))
		s.get("/auth/projects", unscoped).Equal(s.t, "projects.0.id", s.c.ProjectID)
		s.ask("GET /auth/catalog", "", unscoped).Want(s.t, http.StatusForbidden)
	})},
	{Name: "a token is exchanged for another one", Run: at(Identity, func(s *scene) {
		unscoped := s.login(s.byPassword(), `"unscoped"`).Want(s.t, http.StatusCreated).Header.Get("X-Subject-Token")
		exchange := fmt.Sprintf(`{"methods":["token"],"token":{"id":%q}}`, unscoped)
		a := s.login(exchange, `{"project":{"id":"{project}"}}`).Want(s.t, http.StatusCreated)
		a.Equal(s.t, "token.project.id", s.c.ProjectID)
		s.get("/auth/catalog", Header("X-Auth-Token", a.Header.Get("X-Subject-Token")))
		s.login(`{"methods":["token"],"token":{"id":"wrong"}}`, "").Want(s.t, http.StatusNotFound)
	})},
	{Name: "wrong credentials are 401, whatever is wrong with them", Run: at(Identity, func(s *scene) {
		right := s.byPassword()
		for what, a := range inOrder[string, Answer](
			"a wrong password", s.login(`{"methods":["password"],"password":{"user":{"id":"{user}","password":"wrong"}}}`, ""),
			"no password", s.login(`{"methods":["password"],"password":{"user":{"id":"{user}"}}}`, ""),
			"an unknown user", s.login(`{"methods":["password"],"password":{"user":{"id":"{nobody}","password":"wrong"}}}`, ""),
			"another domain", s.login(`{"methods":["password"],"password":{"user":{"name":"contract","domain":{"id":"other"},"password":"wrong"}}}`, ""),
			"an unknown project", s.login(right, `{"project":{"id":"{nobody}"}}`),
			"somebody else's project", s.login(right, `{"project":{"name":"admin","domain":{"id":"default"}}}`),
			"a domain", s.login(right, `{"domain":{"id":"default"}}`),
			"the system", s.login(right, `{"system":{"all":true}}`),
			"no method", s.login(`{"methods":[]}`, ""),
		) {
			if a.Status != http.StatusUnauthorized {
				s.t.Errorf("%s: %d %s", what, a.Status, a.Raw)
			}
			a.Equal(s.t, "error.code", "401")
			a.Equal(s.t, "error.title", "Unauthorized")
			a.Equal(s.t, "error.message", "The request you have made requires authentication.")
		}
	})},
	{Name: "a login of the wrong form is 400", Run: at(Identity, func(s *scene) {
		right := s.byPassword()
		for what, a := range inOrder[string, Answer](
			"no JSON", s.ask("POST /auth/tokens", `{`, anonymous()),
			"no auth", s.ask("POST /auth/tokens", `{}`, anonymous()),
			"no identity", s.ask("POST /auth/tokens", `{"auth":{}}`, anonymous()),
			"methods that are no list", s.login(`{"methods":"password","password":{"user":{"id":"{user}","password":"x"}}}`, ""),
			"a method without its part", s.login(`{"methods":["password"]}`, ""),
			"an unknown method without its part", s.login(`{"methods":["zork"]}`, ""),
			"a user's name without a domain", s.login(`{"methods":["password"],"password":{"user":{"name":"contract","password":"x"}}}`, ""),
			"a project's name without a domain", s.login(right, `{"project":{"name":"contract"}}`),
			"an empty scope", s.login(right, `{}`),
			"a scope that is a list", s.login(right, `[1]`),
		) {
			if a.Status != http.StatusBadRequest || a.Text("error.code") != "400" || a.Text("error.title") != "Bad Request" {
				s.t.Errorf("%s: %d %s", what, a.Status, a.Raw)
			}
		}
	})},
	{Name: "a token's holder may read it, with or without the catalog", Run: at(Identity, func(s *scene) {
		token := s.token()
		a := s.get("/auth/tokens", about(token))
		a.Equal(s.t, "token.project.id", s.c.ProjectID)
		if a.At("token.catalog") == nil || a.Header.Get("X-Subject-Token") != token {
			s.t.Errorf("headers %v, body %s", a.Header, a.Raw)
		}
		if a = s.get("/auth/tokens?nocatalog", about(token)); a.At("token.catalog") != nil {
			s.t.Errorf("there is a catalog all the same")
		}
		if a = s.ask("HEAD /auth/tokens", "", about(token)).Want(s.t, http.StatusOK); len(a.Raw) > 0 {
			s.t.Errorf("HEAD answered %s", a.Raw)
		}
	})},
	{Name: "an unknown token to be read is 404, somebody else's is 403", Run: at(Identity, func(s *scene) {
		s.ask("GET /auth/tokens", "", about("wrong")).Want(s.t, http.StatusNotFound)
		s.ask("GET /auth/tokens", "", about(s.c.AdminToken)).Want(s.t, http.StatusForbidden)
		s.ask("DELETE /auth/tokens", "", about(s.c.AdminToken)).Want(s.t, http.StatusForbidden)
		s.ask("GET /auth/tokens", "").Want(s.t, http.StatusForbidden)
	})},
	{Name: "a revoked token is refused by Keystone", Run: at(Identity, func(s *scene) {
		token := s.token()
		s.ask("DELETE /auth/tokens", "", about(token)).Want(s.t, http.StatusNoContent)
		s.eventually("GET /auth/projects", http.StatusUnauthorized, Header("X-Auth-Token", token))
		s.eventually("GET /auth/tokens", http.StatusNotFound, about(token))
	})},
	{Name: "without a valid token every service answers 401 and says where Keystone is", Run: func(t *T, c *Cloud) {
		for _, token := range []string{"", "wrong"} {
			for service, path := range inOrder[string, string](Identity, "/auth/projects", Volume, "/volumes", Compute, "/servers",
				Network, "/v2.0/networks", LoadBalancer, "/v2.0/lbaas/loadbalancers") {
				a := c.Do(t, service, http.MethodGet, path, nil, Header("X-Auth-Token", token)).Want(t, http.StatusUnauthorized)
				a.Equal(t, "error.code", "401")
				a.Equal(t, "error.title", "Unauthorized")
				if where := a.Header.Get("WWW-Authenticate"); !strings.HasPrefix(where, `Keystone uri="http`) {
					t.Errorf("%s: WWW-Authenticate is %q", service, where)
				}
			}
		}
	}},
	{Name: "a user reads the own projects, the own project and the own user, and nobody else's", Run: at(Identity, func(s *scene) {
		s.get("/auth/projects").Equal(s.t, "projects.0.id", s.c.ProjectID)
		s.get("/users/{user}/projects").Equal(s.t, "projects.0.id", s.c.ProjectID)
		s.get("/projects/{project}").Equal(s.t, "project.domain_id", "default")
		s.get("/users/{user}").Equal(s.t, "user.id", s.c.UserID)
		for _, path := range []string{"/projects", "/users", "/domains", "/services", "/endpoints", "/roles"} {
			s.refused("GET "+path, "", http.StatusForbidden, "Forbidden", "You are not authorized to perform the requested action: identity:list_")
		}
	})},
}

// root3 is the version that the root document speaks of.
func root3(root Answer) string { return root.Text("versions.values.0.id") }

var credentialCases = []Case{
	{Name: "an application credential is made, read, listed, found by name and removed", Run: at(Identity, func(s *scene) {
		a := s.credential(`{"name":"mine","description":"of the suite"}`)
		a.Equal(s.t, "application_credential.project_id", s.c.ProjectID)
		a.Equal(s.t, "application_credential.expires_at", "")
		if a.Text("application_credential.secret") == "" || len(values(a, "application_credential.roles", "name")) != 3 {
			s.t.Errorf("it has %s", a.Raw)
		}
		a = s.get("/users/{user}/application_credentials/{mine}")
		a.Equal(s.t, "application_credential.description", "of the suite")
		if a.At("application_credential.secret") != nil {
			s.t.Errorf("the secret can be read again")
		}
		for query, want := range inOrder[string, int]("", 1, "?name=mine", 1, "?name=other", 0) {
			found := values(s.get("/users/{user}/application_credentials"+query), "application_credentials", "name")
			found = slices.DeleteFunc(found, func(name string) bool { return name != "mine" })
			if len(found) != want {
				s.t.Errorf("%q lists %v", query, found)
			}
		}
		s.ask("DELETE /users/{user}/application_credentials/{mine}", "").Want(s.t, http.StatusNoContent)
		s.refused("DELETE /users/{user}/application_credentials/{mine}", "", http.StatusNotFound, "Could not find Application Credential: {mine}.")
		s.refused("GET /users/{user}/application_credentials/{mine}", "", http.StatusNotFound, "Could not find Application Credential: {mine}.")
	})},
	{Name: "an application credential logs in by id, or by name of its user", Run: at(Identity, func(s *scene) {
		s.names["secret"] = s.credential(`{"name":"mine"}`).Text("application_credential.secret")
		s.names["login"] = s.get("/users/{user}").Text("user.name")
		for _, reference := range []string{
			`"id":"{mine}"`, `"name":"mine","user":{"id":"{user}"}`, `"name":"mine","user":{"name":"{login}","domain":{"id":"default"}}`,
		} {
			a := s.login(byCredential(reference+`,"secret":"{secret}"`), "").Want(s.t, http.StatusCreated)
			a.Equal(s.t, "token.methods", `["application_credential"]`)
			a.Equal(s.t, "token.project.id", s.c.ProjectID)
			a.Equal(s.t, "token.application_credential.id", s.names["mine"])
			a.Equal(s.t, "token.application_credential.name", "mine")
			a.Equal(s.t, "token.application_credential.restricted", "true")
		}
	})},
	{Name: "what is wrong with an application credential decides between 401, 404 and 400", Run: at(Identity, func(s *scene) {
		s.names["secret"] = s.credential(`{"name":"mine"}`).Text("application_credential.secret")
		for what, want := range inOrder[string, int](
			`"id":"{mine}","secret":"wrong"`, http.StatusUnauthorized,
			`"id":"{mine}"`, http.StatusUnauthorized,
			`"id":"{nobody}","secret":"{secret}"`, http.StatusNotFound,
			`"name":"other","user":{"id":"{user}"},"secret":"{secret}"`, http.StatusUnauthorized,
			`"name":"mine","secret":"{secret}"`, http.StatusBadRequest,
			`"name":"mine","user":{"name":"contract"},"secret":"{secret}"`, http.StatusBadRequest,
		) {
			if a := s.login(byCredential(what), ""); a.Status != want {
				s.t.Errorf("%s: %d %s, want %d", what, a.Status, a.Raw, want)
			}
		}
		a := s.login(byCredential(`"id":"{mine}","secret":"{secret}"`), `{"project":{"id":"{project}"}}`).Want(s.t, http.StatusUnauthorized)
		a.Equal(s.t, "error.message", "Error authenticating with application credential: Application credentials cannot request a scope.")
	})},
	{Name: "an application credential may be given a secret, an end and fewer roles", Run: at(Identity, func(s *scene) {
		a := s.credential(`{"name":"mine","secret":"own","expires_at":"2099-01-01T00:00:00.000000Z","roles":[{"name":"reader"}]}`)
		a.Equal(s.t, "application_credential.secret", "own")
		a.Equal(s.t, "application_credential.expires_at", "2099-01-01T00:00:00.000000")
		a = s.login(byCredential(`"id":"{mine}","secret":"own"`), "").Want(s.t, http.StatusCreated)
		if roles := values(a, "token.roles", "name"); !slices.Equal(roles, []string{"reader"}) {
			s.t.Errorf("its token has the roles %v", roles)
		}
	})},
	{Name: "a token ends no later than its application credential", Run: at(Identity, func(s *scene) {
		soon := time.Now().UTC().Add(time.Hour).Format("2006-01-02T15:04:05.000000")
		s.credential(`{"name":"mine","secret":"own","expires_at":"` + soon + `Z"}`)
		a := s.login(byCredential(`"id":"{mine}","secret":"own"`), "").Want(s.t, http.StatusCreated)
		if end := a.Text("token.expires_at"); end[:19] != soon[:19] {
			s.t.Errorf("it ends at %s, the credential at %s", end, soon)
		}
	})},
	{Name: "an application credential that cannot be is refused", Run: at(Identity, func(s *scene) {
		s.credential(`{"name":"mine"}`)
		for body, want := range inOrder[string, int](
			`{"name":"mine"}`, http.StatusConflict,
			`{}`, http.StatusBadRequest,
			`{"name":"late","expires_at":"2020-01-01T00:00:00.000000Z"}`, http.StatusBadRequest,
			`{"name":"mighty","roles":[{"name":"admin"}]}`, http.StatusBadRequest,
		) {
			s.refused("POST /users/{user}/application_credentials", `{"application_credential":`+body+`}`, want, http.StatusText(want))
		}
		s.refused("GET /users/{nobody}/application_credentials", "", http.StatusForbidden, "identity:list_application_credentials")
	})},
	{Name: "an application credential reads the user's, but makes and removes none", Run: at(Identity, func(s *scene) {
		s.credential(`{"name":"mine","secret":"own"}`)
		token := Header("X-Auth-Token", s.login(byCredential(`"id":"{mine}","secret":"own"`), "").Want(s.t, http.StatusCreated).Header.Get("X-Subject-Token"))
		s.get("/users/{user}/application_credentials/{mine}", token).Equal(s.t, "application_credential.name", "mine")
		s.get("/auth/projects", token).Equal(s.t, "projects.0.id", s.c.ProjectID)
		for request, body := range inOrder[string, string]("POST /users/{user}/application_credentials", `{"application_credential":{"name":"more"}}`,
			"DELETE /users/{user}/application_credentials/{mine}", "") {
			a := s.ask(request, body, token).Want(s.t, http.StatusForbidden)
			a.Equal(s.t, "error.title", "Forbidden")
		}
	})},
	{Name: "a removed application credential and its tokens are of no use", Run: at(Identity, func(s *scene) {
		s.credential(`{"name":"mine","secret":"own"}`)
		token := s.login(byCredential(`"id":"{mine}","secret":"own"`), "").Want(s.t, http.StatusCreated).Header.Get("X-Subject-Token")
		s.ask("DELETE /users/{user}/application_credentials/{mine}", "").Want(s.t, http.StatusNoContent)
		s.eventually("GET /auth/tokens", http.StatusNotFound, about(token))
		var a Answer
		s.t.Quietly(func() { a = s.login(byCredential(`"id":"{mine}","secret":"own"`), "") })
		if a.Status != http.StatusNotFound && a.Status != http.StatusUnauthorized {
			s.t.Errorf("it logs in: %d %s", a.Status, a.Raw)
		}
	})},
}

// credential makes an application credential of the user for the time of the case, named mine.
func (s *scene) credential(body string) Answer {
	return s.created("mine", "POST /users/{user}/application_credentials", "application_credential", `{"application_credential":`+body+`}`)
}

// Package identity is Keystone's v3 API of the embedded cloud: version discovery, tokens, the catalog, and what users may
// see of themselves.
package identity

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/fairlead-io/fairlead/pkg/devcloud/api"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine/identity"
)

// Endpoint is one service in the catalog.
type Endpoint struct {
	Type, Name string
	// URL may contain {project_id}.
	URL string
}

// Options configure the API.
type Options struct {
	Region    string
	Endpoints []Endpoint
}

type service struct {
	identity *identity.Service
	opts     Options
}

// New serves an identity engine.
func New(core *api.Core, engine *identity.Service, opts Options) *api.Service {
	s := service{engine, opts}
	r := api.NewService(core, api.Identity)
	r.Public("GET /{$}", versions)
	r.Public("GET /v3", version)
	r.Public("GET /v3/{$}", version)
	r.Public("POST /v3/auth/tokens", s.issue)
	r.Handle("GET /v3/auth/tokens", s.show)
	r.Handle("DELETE /v3/auth/tokens", s.revoke)
	r.Handle("GET /v3/auth/catalog", s.catalog)
	r.Handle("GET /v3/auth/projects", s.projects)
	r.Handle("GET /v3/users/{user}/projects", s.userProjects)
	r.Handle("GET /v3/users/{user}/application_credentials", s.credentials)
	r.Handle("POST /v3/users/{user}/application_credentials", s.createCredential)
	r.Handle("GET /v3/users/{user}/application_credentials/{id}", s.credential)
	r.Handle("DELETE /v3/users/{user}/application_credentials/{id}", s.deleteCredential)
	r.Handle("GET /v3/users/{user}", s.user)
	r.Handle("GET /v3/projects/{project}", s.project)
	for _, kind := range []string{"users", "projects", "domains", "services", "endpoints", "roles"} {
		r.Handle("GET /v3/"+kind, adminOnly("identity:list_"+kind))
	}
	return r
}

// Tokens lets the other services check tokens.
type Tokens struct{ Identity *identity.Service }

// Caller implements api.Tokens.
func (t Tokens) Caller(token string) (api.Caller, bool) {
	tok, ok := t.Identity.Check(token)
	if !ok {
		return api.Caller{}, false
	}
	return api.Caller{UserID: tok.UserID, ProjectID: tok.ProjectID, Roles: t.Identity.RolesOf(tok)}, true
}

func description(r *api.Request) map[string]any {
	return map[string]any{
		"id": "v3.14", "status": "stable", "updated": "2020-04-07T00:00:00Z",
		"links":       []api.Link{{Rel: "self", Href: r.Base + "/v3/"}},
		"media-types": []map[string]any{{"base": "application/json", "type": "application/vnd.openstack.identity-v3+json"}},
	}
}

func versions(r *api.Request) (int, any, error) {
	r.SetHeader("Location", r.Base+"/v3/")
	return http.StatusMultipleChoices, map[string]any{"versions": map[string]any{"values": []any{description(r)}}}, nil
}

func version(r *api.Request) (int, any, error) {
	return http.StatusOK, map[string]any{"version": description(r)}, nil
}

var unauthorized = &api.Error{Status: http.StatusUnauthorized, Message: "The request you have made requires authentication."}

// login is the body of POST /v3/auth/tokens.
type login struct {
	Auth *struct {
		Identity *struct {
			Methods  []string `json:"methods"`
			Password *struct {
				User struct {
					userRef
					Password string `json:"password"`
				} `json:"user"`
			} `json:"password"`
			Token *struct {
				ID string `json:"id"`
			} `json:"token"`
			Credential *struct {
				ID     string   `json:"id"`
				Name   string   `json:"name"`
				Secret string   `json:"secret"`
				User   *userRef `json:"user"`
			} `json:"application_credential"`
		} `json:"identity"`
		Scope json.RawMessage `json:"scope"`
	} `json:"auth"`
}

type userRef struct {
	ID     string  `json:"id"`
	Name   string  `json:"name"`
	Domain *domain `json:"domain"`
}

type domain struct {
	ID   string `json:"id,omitempty"`
	Name string `json:"name,omitempty"`
}

func (d *domain) known() bool {
	return d != nil && (d.ID == identity.DomainID || d.ID == "" && strings.EqualFold(d.Name, identity.DomainName))
}

// reference is what the engine looks up; a name outside the one domain matches nobody.
func (u userRef) reference() (identity.Reference, error) {
	switch {
	case u.ID != "":
		return identity.Reference{ID: u.ID}, nil
	case u.Domain == nil:
		return identity.Reference{}, expecting("domain in user")
	case !u.Domain.known():
		return identity.Reference{}, nil
	}
	return identity.Reference{Name: u.Name}, nil
}

// expecting is Keystone's refusal of a request that lacks something.
func expecting(what string) error {
	return api.BadRequest("Expecting to find %s. The server could not comply with the request since it is either malformed or otherwise incorrect. "+
		"The client is assumed to be in error.", what)
}

func (l login) parse() (out identity.Login, err error) {
	if l.Auth == nil {
		return out, expecting("auth in request body")
	}
	id := l.Auth.Identity
	if id == nil {
		return out, api.BadRequest("'identity' is a required property")
	}
	if len(id.Methods) != 1 {
		return out, unauthorized
	}
	switch method := id.Methods[0]; {
	case method == "password" && id.Password != nil:
		out.Password = id.Password.User.Password
		out.User, err = id.Password.User.reference()
	case method == "token" && id.Token != nil && id.Token.ID != "":
		out.Token = id.Token.ID
	case method == "application_credential" && id.Credential != nil:
		out.ByCredential, out.CredentialSecret = true, id.Credential.Secret
		out.Credential = identity.Reference{ID: id.Credential.ID, Name: id.Credential.Name}
		switch {
		case id.Credential.ID != "":
		case id.Credential.User == nil:
			err = expecting("user in application credential")
		default:
			out.User, err = id.Credential.User.reference()
		}
	default:
		err = expecting(method + " in identity")
	}
	if err != nil {
		return out, err
	}
	return out, l.parseScope(&out)
}

// parseScope reads the scope; none means the user's default project.
func (l login) parseScope(out *identity.Login) error {
	raw := l.Auth.Scope
	if out.Unscoped = string(raw) == `"unscoped"`; len(raw) == 0 || string(raw) == "null" || raw[0] == '"' {
		return nil
	}
	var scope struct {
		Project *struct {
			ID     string  `json:"id"`
			Name   string  `json:"name"`
			Domain *domain `json:"domain"`
		} `json:"project"`
		Domain any `json:"domain"`
		System any `json:"system"`
	}
	if err := json.Unmarshal(raw, &scope); err != nil {
		return api.BadRequest("Invalid input for field 'scope': %s is not of type 'object', 'string'", raw)
	}
	p := scope.Project
	switch {
	case scope.Domain != nil || scope.System != nil: // not for tenants
		return unauthorized
	case p == nil:
		return expecting("system, project, domain, OS-TRUST:trust or unscoped in scope")
	case p.ID == "" && p.Domain == nil:
		return expecting("domain in project")
	case p.ID == "" && !p.Domain.known():
		return unauthorized
	}
	out.Scope = &identity.Reference{ID: p.ID, Name: p.Name}
	return nil
}

func (s service) issue(r *api.Request) (int, any, error) {
	var body login
	if err := r.Decode(&body); err != nil {
		return 0, nil, err
	}
	in, err := body.parse()
	if errors.Is(err, unauthorized) {
		err = identity.ErrUnauthorized
	}
	if err != nil && !errors.Is(err, identity.ErrUnauthorized) {
		return 0, nil, err
	}
	var token identity.Token
	if err == nil {
		token, err = s.identity.Issue(in)
	}
	switch {
	case errors.Is(err, identity.ErrScopedCredential):
		r.SetHeader("WWW-Authenticate", `Keystone uri="`+r.Base+`/v3"`)
		return http.StatusUnauthorized, map[string]any{"error": map[string]any{
			"code": http.StatusUnauthorized, "title": "Unauthorized", "identity": map[string]any{}, // there is more in it than elsewhere
			"message": "Error authenticating with application credential: Application credentials cannot request a scope.",
		}}, nil
	case errors.Is(err, identity.ErrUnauthorized):
		r.SetHeader("WWW-Authenticate", `Keystone uri="`+r.Base+`/v3"`)
		return 0, nil, unauthorized
	case errors.Is(err, identity.ErrNoCredential):
		return 0, nil, noCredential(in.Credential.ID)
	case errors.Is(err, identity.ErrNoToken):
		return 0, nil, api.Errorf(http.StatusNotFound, "Could not find token.")
	case err != nil:
		return 0, nil, err
	}
	r.SetHeader("X-Subject-Token", token.ID)
	return http.StatusCreated, map[string]any{"token": s.view(token)}, nil
}

// subject is the token that a request is about: the caller's, or another one of the same user.
func (s service) subject(r *api.Request, rule string) (identity.Token, error) {
	id := r.Header.Get("X-Subject-Token")
	token, ok := s.identity.Check(id)
	switch {
	case id == "":
		return token, unauthorizedFor(rule)
	case !ok:
		return token, api.Errorf(http.StatusNotFound, "Could not find token.")
	case token.UserID != r.Caller.UserID && !slices.Contains(r.Caller.Roles, "admin"):
		return token, unauthorizedFor(rule)
	}
	return token, nil
}

func (s service) show(r *api.Request) (int, any, error) {
	token, err := s.subject(r, "identity:validate_token")
	if err != nil {
		return 0, nil, err
	}
	r.SetHeader("X-Subject-Token", token.ID)
	view := s.view(token)
	if r.URL.Query().Has("nocatalog") {
		delete(view, "catalog")
	}
	return http.StatusOK, map[string]any{"token": view}, nil
}

func (s service) revoke(r *api.Request) (int, any, error) {
	token, err := s.subject(r, "identity:revoke_token")
	if err != nil {
		return 0, nil, err
	}
	return http.StatusNoContent, nil, s.identity.Revoke(token.ID)
}

func (s service) catalog(r *api.Request) (int, any, error) {
	if r.Caller.ProjectID == "" {
		return 0, nil, api.Errorf(http.StatusForbidden, "You are not authorized to perform the requested action.")
	}
	return http.StatusOK, map[string]any{"catalog": s.endpoints(r.Caller.ProjectID), "links": map[string]any{"self": r.Base + "/v3/auth/catalog"}}, nil
}

func (s service) projects(r *api.Request) (int, any, error) {
	list := []any{}
	for _, id := range s.identity.User(r.Caller.UserID).ProjectIDs {
		list = append(list, s.projectView(r, id))
	}
	return http.StatusOK, map[string]any{
		"projects": list, "links": map[string]any{"self": r.Base + "/v3/auth/projects", "previous": nil, "next": nil},
	}, nil
}

const timeFormat = "2006-01-02T15:04:05.000000Z"

func (s service) view(t identity.Token) map[string]any {
	dom := domain{ID: identity.DomainID, Name: identity.DomainName}
	user, project := s.identity.User(t.UserID), s.identity.Project(t.ProjectID)
	view := map[string]any{
		"methods": []string{t.Method}, "audit_ids": []string{t.Audit},
		"user":       map[string]any{"domain": dom, "id": user.ID, "name": user.Name, "password_expires_at": nil},
		"issued_at":  stamp(t.Issued),
		"expires_at": stamp(t.Expires),
	}
	if t.ProjectID == "" {
		return view
	}
	view["is_domain"], view["roles"] = false, roles(s.identity.RolesOf(t))
	view["project"] = map[string]any{"domain": dom, "id": project.ID, "name": project.Name}
	view["catalog"] = s.endpoints(t.ProjectID)
	if c, ok := s.identity.Credential(t.CredentialID); ok {
		view["application_credential"] = map[string]any{"id": c.ID, "name": c.Name, "restricted": true}
	}
	return view
}

func stamp(t time.Time) string { return t.UTC().Format(timeFormat) }

// roles are the JSON of roles.
func roles(names []string) []any {
	list := []any{}
	for _, name := range names {
		list = append(list, map[string]any{"id": identity.StableID("role", name), "name": name})
	}
	return list
}

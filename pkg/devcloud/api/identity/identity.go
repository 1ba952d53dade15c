// Package identity is Keystone's v3 API of the embedded cloud: version discovery, tokens, the catalog, and what users may
// see of themselves.
package identity

import (
	"encoding/json"
	"errors"
	"net/http"
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
	r.Handle("GET /v3/users", adminOnly("identity:list_users"))
	r.Handle("GET /v3/projects", adminOnly("identity:list_projects"))
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
	return api.Caller{UserID: tok.UserID, ProjectID: tok.ProjectID, Roles: t.Identity.User(tok.UserID).Roles}, true
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
		Identity struct {
			Methods  []string `json:"methods"`
			Password *struct {
				User struct {
					userRef
					Password string `json:"password"`
				} `json:"user"`
			} `json:"password"`
			Credential *struct {
				ID     string  `json:"id"`
				Name   string  `json:"name"`
				Secret string  `json:"secret"`
				User   userRef `json:"user"`
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
	return d != nil && (d.ID == identity.DomainID || d.ID == "" && d.Name == identity.DomainName)
}

// reference is what the engine looks up; a name outside the one domain matches nobody.
func (u userRef) reference() identity.Reference {
	if u.ID == "" && !u.Domain.known() {
		return identity.Reference{}
	}
	return identity.Reference{ID: u.ID, Name: u.Name}
}

func (l login) parse() (identity.Login, error) {
	if l.Auth == nil || len(l.Auth.Identity.Methods) != 1 {
		return identity.Login{}, api.BadRequest("Expecting to find auth.identity with exactly one method in request body.")
	}
	var out identity.Login
	id := l.Auth.Identity
	switch {
	case id.Methods[0] == "password" && id.Password != nil:
		out.User, out.Password = id.Password.User.reference(), id.Password.User.Password
	case id.Methods[0] == "application_credential" && id.Credential != nil:
		out.ByCredential, out.CredentialSecret = true, id.Credential.Secret
		out.Credential = identity.Reference{ID: id.Credential.ID, Name: id.Credential.Name}
		out.User = id.Credential.User.reference()
	default:
		return out, unauthorized
	}
	var err error
	out.Scope, err = parseScope(l.Auth.Scope)
	return out, err
}

// parseScope reads the scope; none, null and "unscoped" mean the user's default project.
func parseScope(raw json.RawMessage) (*identity.Reference, error) {
	if len(raw) == 0 || string(raw) == "null" || raw[0] == '"' {
		return nil, nil
	}
	var scope struct {
		Project *struct {
			ID     string  `json:"id"`
			Name   string  `json:"name"`
			Domain *domain `json:"domain"`
		} `json:"project"`
	}
	if err := json.Unmarshal(raw, &scope); err != nil {
		return nil, api.BadRequest("Expecting auth.scope to be an object: %v", err)
	}
	p := scope.Project
	if p == nil || p.ID == "" && !p.Domain.known() { // a domain or system scope is not for tenants
		return nil, unauthorized
	}
	return &identity.Reference{ID: p.ID, Name: p.Name}, nil
}

func (s service) issue(r *api.Request) (int, any, error) {
	r.SetHeader("Vary", "X-Auth-Token")
	var body login
	if err := r.Decode(&body); err != nil {
		return 0, nil, err
	}
	in, err := body.parse()
	if err != nil {
		return 0, nil, err
	}
	token, err := s.identity.Issue(in)
	switch {
	case errors.Is(err, identity.ErrScopedCredential):
		return 0, nil, &api.Error{Status: http.StatusUnauthorized, Message: "Application credentials cannot request a scope."}
	case errors.Is(err, identity.ErrUnauthorized):
		return 0, nil, unauthorized
	case err != nil:
		return 0, nil, err
	}
	r.SetHeader("X-Subject-Token", token.ID)
	return http.StatusCreated, s.view(token), nil
}

// subject is the token that a request is about, which need not be the caller's.
func (s service) subject(r *api.Request) (identity.Token, error) {
	r.SetHeader("Vary", "X-Auth-Token")
	id := r.Header.Get("X-Subject-Token")
	token, ok := s.identity.Check(id)
	if !ok {
		return token, api.Errorf(http.StatusNotFound, "Could not find token.")
	}
	r.SetHeader("X-Subject-Token", id)
	return token, nil
}

func (s service) show(r *api.Request) (int, any, error) {
	token, err := s.subject(r)
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, s.view(token), nil
}

func (s service) revoke(r *api.Request) (int, any, error) {
	token, err := s.subject(r)
	if err != nil {
		return 0, nil, err
	}
	return http.StatusNoContent, nil, s.identity.Revoke(token.ID)
}

func (s service) catalog(r *api.Request) (int, any, error) {
	return http.StatusOK, map[string]any{"catalog": s.endpoints(r.Caller.ProjectID), "links": map[string]any{"self": r.Base + "/v3/auth/catalog"}}, nil
}

func (s service) projects(r *api.Request) (int, any, error) {
	list := []any{}
	for _, id := range s.identity.User(r.Caller.UserID).ProjectIDs {
		p := s.identity.Project(id)
		list = append(list, map[string]any{
			"id": p.ID, "name": p.Name, "domain_id": identity.DomainID, "parent_id": identity.DomainID, "enabled": true,
			"is_domain": false, "description": "", "links": map[string]any{"self": r.Base + "/v3/projects/" + p.ID},
		})
	}
	return http.StatusOK, map[string]any{
		"projects": list, "links": map[string]any{"self": r.Base + "/v3/auth/projects", "previous": nil, "next": nil},
	}, nil
}

const timeFormat = "2006-01-02T15:04:05.000000Z"

func (s service) view(t identity.Token) any {
	dom := domain{ID: identity.DomainID, Name: identity.DomainName}
	user, project := s.identity.User(t.UserID), s.identity.Project(t.ProjectID)
	view := map[string]any{
		"methods": []string{t.Method}, "audit_ids": []string{t.Audit}, "is_domain": false, "roles": s.roles(t.UserID),
		"user":       map[string]any{"domain": dom, "id": user.ID, "name": user.Name, "password_expires_at": nil},
		"project":    map[string]any{"domain": dom, "id": project.ID, "name": project.Name},
		"issued_at":  stamp(t.Issued),
		"expires_at": stamp(t.Expires),
		"catalog":    s.endpoints(t.ProjectID),
	}
	if t.CredentialID != "" {
		view["application_credential"] = map[string]any{"id": t.CredentialID, "restricted": true}
	}
	return map[string]any{"token": view}
}

func stamp(t time.Time) string { return t.UTC().Format(timeFormat) }

// roles are those of a user.
func (s service) roles(userID string) []any {
	roles := []any{}
	for _, name := range s.identity.User(userID).Roles {
		roles = append(roles, map[string]any{"id": identity.StableID("role", name), "name": name})
	}
	return roles
}

package openstack

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"github.com/gophercloud/gophercloud/v2"

	"github.com/fairlead-io/fairlead/pkg/cloud"
	"github.com/fairlead-io/fairlead/pkg/cloud/transport"
)

// request is one request to a service.
type request struct {
	service service
	op      string // for errors: "create disk"
	object  string // for errors: an id or name
	method  string
	path    string // below the service's endpoint
	query   url.Values
	headers map[string]string
	body    any
	into    any // what the answer is decoded into; nil: it is not read
	also    int // a status besides the usual ones that is an answer
}

var accepted = []int{http.StatusOK, http.StatusCreated, http.StatusAccepted, http.StatusNoContent}

// do makes the request; its error is a *cloud.Error. A service that does not have our microversion is asked again in one
// that it has.
func (c *Cloud) do(ctx context.Context, r request) error {
	c.refresh(ctx)
	client, err := c.services.Load().client(r.service)
	if err != nil {
		return &cloud.Error{Kind: cloud.ErrInvalid, Op: r.op, Object: r.object, Err: err}
	}
	err = c.send(ctx, client, client.ServiceURL(r.path), r)
	if client.Microversion != "" && refused(err, http.StatusNotAcceptable) {
		if lowered := c.negotiate(ctx, r.service, client); lowered != nil {
			return c.send(ctx, lowered, lowered.ServiceURL(r.path), r)
		}
	}
	return err
}

// send makes the request of one client to a URL, in the client's microversion.
func (c *Cloud) send(ctx context.Context, client *gophercloud.ServiceClient, target string, r request) error {
	if len(r.query) > 0 {
		target += "?" + r.query.Encode()
	}
	call := &transport.Call{Service: string(r.service)}
	//nolint:bodyclose // gophercloud closes it: we do not ask for KeepResponseBody
	resp, err := client.Request(transport.WithCall(ctx, call), r.method, target, &gophercloud.RequestOpts{
		JSONBody: r.body, JSONResponse: r.into, OkCodes: append([]int{r.also}, accepted...), MoreHeaders: r.headers,
	})
	if err == nil {
		cloud.Accepted(ctx, transport.RequestID(resp.Header))
		return nil
	}
	return classify(failure{op: r.op, object: r.object, read: r.method == http.MethodGet, sent: call.Sent()}, err)
}

// list reads a collection page by page. The next page is asked for by our own query plus the marker of the cloud's
// link: links may name a host that only the cloud knows, and Octavia's leave out the filter.
func list[T any](ctx context.Context, c *Cloud, r request, key string) ([]T, error) {
	var all []T
	query := url.Values{}
	for k, v := range r.query {
		query[k] = v
	}
	for {
		var page map[string]json.RawMessage
		r.method, r.query, r.into = http.MethodGet, query, &page
		if err := c.do(ctx, r); err != nil {
			return nil, err
		}
		var items []T
		if err := json.Unmarshal(page[key], &items); err != nil {
			return nil, &cloud.Error{Kind: cloud.ErrUnavailable, Op: r.op, Object: r.object, Message: "the answer has no " + key, Err: err}
		}
		all = append(all, items...)
		next := nextPage(page[key+"_links"])
		if next == nil || len(items) == 0 || next.Get("marker") == "" || next.Get("marker") == query.Get("marker") {
			return all, nil
		}
		query.Set("marker", next.Get("marker"))
		if limit := next.Get("limit"); limit != "" {
			query.Set("limit", limit)
		}
	}
}

// nextPage is the query of the link to the next page; nil when there is none.
func nextPage(links json.RawMessage) url.Values {
	var refs []struct{ Rel, Href string }
	if json.Unmarshal(links, &refs) != nil {
		return nil
	}
	for _, ref := range refs {
		if ref.Rel != "next" {
			continue
		}
		_, query, _ := strings.Cut(ref.Href, "?")
		values, err := url.ParseQuery(query)
		if err != nil {
			return nil
		}
		return values
	}
	return nil
}

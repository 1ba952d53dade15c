package api

import (
	"maps"
	"net/http"
	"regexp"
	"unicode/utf8"
)

// MaxString is the longest name, key or value that Nova and Cinder take, in characters.
const MaxString = 255

// The keys that pairs of metadata may have: Nova's and Cinder's (parameter_types.py).
var (
	ServerKeys = regexp.MustCompile(`^[a-zA-Z0-9-_:. ]{1,255}$`)
	VolumeKeys = regexp.MustCompile(`^[a-zA-Z0-9-_:. /]{1,255}$`)
)

// CheckMetadata refuses the pairs that Nova or Cinder refuses.
func CheckMetadata(metadata map[string]string, keys *regexp.Regexp) error {
	for k, v := range metadata {
		if !keys.MatchString(k) {
			return BadRequest("Invalid input for field/attribute metadata. Value: {'%s': '%s'}. '%s' does not match any of the regexes: '%s'", k, v, k, keys)
		}
		if utf8.RuneCountInString(v) > MaxString {
			return BadRequest("Invalid input for field/attribute %s. Value: %s. '%s' is too long", k, v, v)
		}
	}
	return nil
}

// EditMetadata has edit make the new pairs of an object of the present ones, keeps and returns them.
type EditMetadata func(r *Request, edit func(present map[string]string) map[string]string) (map[string]string, error)

// SetMetadataItem handles a request that sets the one pair of an object's metadata which the path names.
func SetMetadataItem(keys *regexp.Regexp, change EditMetadata) Handler {
	return func(r *Request) (int, any, error) {
		var body struct {
			Meta map[string]string `json:"meta"`
		}
		if err := r.Decode(&body); err != nil {
			return 0, nil, err
		}
		key := r.PathValue("key")
		if _, ok := body.Meta[key]; !ok || len(body.Meta) != 1 {
			return 0, nil, BadRequest("Request body and URI mismatch")
		}
		if err := CheckMetadata(body.Meta, keys); err != nil {
			return 0, nil, err
		}
		_, err := change(r, func(present map[string]string) map[string]string {
			merged := maps.Clone(present)
			if merged == nil {
				merged = map[string]string{}
			}
			maps.Copy(merged, body.Meta)
			return merged
		})
		return http.StatusOK, map[string]any{"meta": body.Meta}, err
	}
}

// SetMetadata handles a request that merges pairs into an object's metadata, or replaces all of it.
func SetMetadata(replace bool, keys *regexp.Regexp, change EditMetadata) Handler {
	return func(r *Request) (int, any, error) {
		var body struct {
			Metadata map[string]string `json:"metadata"`
		}
		if err := r.Decode(&body); err != nil {
			return 0, nil, err
		}
		if body.Metadata == nil {
			return 0, nil, BadRequest("Invalid input for field/attribute metadata. Value: None. 'metadata' is a required property")
		}
		if err := CheckMetadata(body.Metadata, keys); err != nil {
			return 0, nil, err
		}
		now, err := change(r, func(present map[string]string) map[string]string {
			merged := map[string]string{}
			if !replace {
				maps.Copy(merged, present)
			}
			maps.Copy(merged, body.Metadata)
			return merged
		})
		if err != nil {
			return 0, nil, err
		}
		return http.StatusOK, map[string]any{"metadata": now}, nil
	}
}

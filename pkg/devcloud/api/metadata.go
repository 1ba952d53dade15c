package api

import (
	"maps"
	"net/http"
)

// MaxString is the longest name, key or value that Nova and Cinder take, in bytes.
const MaxString = 255

// CheckMetadata refuses the pairs that Nova and Cinder refuse.
func CheckMetadata(metadata map[string]string) error {
	for k, v := range metadata {
		if k == "" || len(k) > MaxString || len(v) > MaxString {
			return BadRequest("Invalid input for field/attribute metadata. Value: {'%s': '%s'}. Keys have 1 to %d characters, values at most %d",
				k, v, MaxString, MaxString)
		}
	}
	return nil
}

// SetMetadata handles a request that merges pairs into an object's metadata, or replaces all of it. change has edit make
// the new pairs of the present ones, keeps and returns them.
func SetMetadata(replace bool, change func(r *Request, edit func(present map[string]string) map[string]string) (map[string]string, error)) Handler {
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
		if err := CheckMetadata(body.Metadata); err != nil {
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

package engine

import "encoding/json"

// Optional is an attribute of a request that may be absent, null (back to its default), or given.
type Optional[T any] struct {
	Set   bool
	Value *T // nil: null
}

// Some is a given attribute.
func Some[T any](v T) Optional[T] { return Optional[T]{Set: true, Value: &v} }

// Null is an attribute that is null.
func Null[T any]() Optional[T] { return Optional[T]{Set: true} }

// UnmarshalJSON implements json.Unmarshaler; it is not called for an absent attribute.
func (o *Optional[T]) UnmarshalJSON(b []byte) error {
	o.Set, o.Value = true, nil
	if string(b) == "null" {
		return nil
	}
	o.Value = new(T)
	return json.Unmarshal(b, o.Value)
}

// Or is the attribute's new value: old when absent, def when null.
func (o Optional[T]) Or(old, def T) T {
	switch {
	case !o.Set:
		return old
	case o.Value == nil:
		return def
	}
	return *o.Value
}

// Pointer is the value, or nil when the attribute is absent or null.
func (o Optional[T]) Pointer() *T { return o.Value }

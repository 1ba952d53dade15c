package blockstorage

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestMetadataFiltersAreReadAsPythonOrJSON(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]map[string]string{
		`{}`:                                    {},
		`{'a': 'b'}`:                            {"a": "b"},
		`{'a':'b','c':'d'}`:                     {"a": "b", "c": "d"},
		`{"a": "b"}`:                            {"a": "b"},
		`{'fairlead.io/cluster': "it's", }`:     {"fairlead.io/cluster": "it's"},
		`{u'a': u'b'}`:                          {"a": "b"},
		`{'a': 'it\'s'}`:                        {"a": "it's"},
		` { 'a' : '' } `:                        {"a": ""},
		`{'a{}': 'b,:'}`:                        {"a{}": "b,:"},
		`{'a': 'b'`:                             nil,
		`{'a': }`:                               nil,
		`{'a' 'b'}`:                             nil,
		`{a: 'b'}`:                              nil,
		`{'a': 'b'} more`:                       nil,
		`{'a': 'b`:                              nil,
		`[]`:                                    nil,
		`nonsense`:                              nil,
		`{'a': 1}`:                              nil,
		`{'a': 'b' 'c': 'd'}`:                   nil,
		`{'cinder.csi.openstack.org/c': 'k8s'}`: {"cinder.csi.openstack.org/c": "k8s"},
	} {
		got, err := parseDict(text)
		if (err != nil) != (want == nil) || err == nil && !cmp.Equal(got, want) {
			t.Errorf("%s: got %v, %v", text, got, err)
		}
	}
}

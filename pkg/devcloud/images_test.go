package devcloud

import (
	"testing"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"
	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/images"
)

func TestImagesAreNames(t *testing.T) {
	t.Parallel()
	c := connect(t, start(t, func(c *Config) { c.Images = []Image{{Name: "a"}, {Name: "b", ID: "id-b"}} }).URL)
	client, err := openstack.NewImageV2(c.provider, gophercloud.EndpointOpts{Region: "RegionOne"})
	if err != nil {
		t.Fatal(err)
	}
	pages, err := images.List(client, images.ListOpts{Name: "b"}).AllPages(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if all, err := images.ExtractImages(pages); err != nil || len(all) != 1 || all[0].ID != "id-b" || all[0].Status != images.ImageStatusActive {
		t.Errorf("images %+v, %v", all, err)
	}
	if got, err := images.Get(t.Context(), client, "id-b").Extract(); err != nil || got.Name != "b" {
		t.Errorf("image %+v, %v", got, err)
	}
	if got := status(t, images.Delete(t.Context(), client, "id-b").Err); got != 403 {
		t.Errorf("the deletion of the cloud's image got %d", got)
	}
	if got := status(t, images.Get(t.Context(), client, "x").Err); got != 404 {
		t.Errorf("an unknown image got %d", got)
	}
}

package contract

import "net/http"

type object = map[string]any

var volumeCases = []Case{
	{Name: "a volume goes from creating to available, and is gone after its deletion", Run: func(t *T, c *Cloud) {
		a := c.Do(t, Volume, http.MethodPost, "/volumes", object{"volume": object{"size": 1, "name": "contract"}}).Want(t, http.StatusAccepted)
		a.Equal(t, "volume.status", "creating")
		path := "/volumes/" + a.Text("volume.id")
		t.Cleanup(func() { c.Do(t, Volume, http.MethodDelete, path, nil) })
		if err := only(c.Await(t, Volume, path, "volume.status", "available"), "creating", "available"); err != nil {
			t.Errorf("%v", err)
		}
		c.Do(t, Volume, http.MethodGet, path, nil).Want(t, http.StatusOK)
		c.Do(t, Volume, http.MethodDelete, path, nil).Want(t, http.StatusAccepted)
		if err := only(c.Await(t, Volume, path, "volume.status", "404"), "deleting", "404"); err != nil {
			t.Errorf("%v", err)
		}
	}},
}

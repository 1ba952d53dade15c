package lab

import (
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestAClosingClientKeepsNoConnection(t *testing.T) {
	closed := make(chan struct{}, 10)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	server.EnableHTTP2 = true
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateClosed {
			closed <- struct{}{}
		}
	}
	server.StartTLS()
	t.Cleanup(server.Close)
	client := http.Client{Transport: closing{server.Client().Transport}}
	for range 2 {
		response, err := client.Get(server.URL)
		if err != nil {
			t.Fatal(err)
		}
		if response.ProtoMajor != 2 {
			t.Errorf("spoke %s", response.Proto)
		}
		_ = response.Body.Close()
		select {
		case <-closed:
		case <-t.Context().Done():
			t.Fatal("the connection is kept")
		}
	}
}

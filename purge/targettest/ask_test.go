package targettest_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/tenantpurge/purger/purge/targettest"
)

func TestAsk(t *testing.T) {
	status := http.StatusOK
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		w.WriteHeader(status)
		fmt.Fprintf(w, "%q", strings.Join([]string{r.Method, r.URL.Path, r.Header.Get("Authorization"), string(b)}, " "))
	}))
	defer s.Close()
	var got string
	if err := targettest.Ask(http.MethodPost, s.URL+"/add", "secret", map[string]int{"n": 2}, &got); err != nil || got != `POST /add Bearer secret {"n":2}` {
		t.Errorf("the server heard %s, %v", got, err)
	}
	var n int
	if err := targettest.Ask(http.MethodGet, s.URL, "", nil, &n); err == nil {
		t.Error("an answer that is no number was taken for one")
	}
	status = http.StatusNotFound
	if err := targettest.Ask(http.MethodGet, s.URL, "", nil, nil); err == nil || !strings.HasPrefix(err.Error(), "status 404: ") {
		t.Errorf("404: %v", err)
	}
}

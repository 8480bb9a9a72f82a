package e2e_test

import (
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"
)

func scraped(t *testing.T, url string) (status int, text string) {
	t.Helper()
	answer, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(body)
}

// The program has its metrics where it was told to.
func TestMetrics(t *testing.T) {
	s := serve(t)
	status, text := scraped(t, s.url+"/metrics")
	for _, has := range []string{"bailiwick_state_fresh 1", "bailiwick_replicas 1", `bailiwick_database_connections{pool="write",state="in_use"}`,
		"go_goroutines", "process_open_fds", "bailiwick_build_info{"} {
		if status != 200 || !strings.Contains(text, "\n"+has) {
			t.Errorf("%d, without %s", status, has)
		}
	}
	if strings.Contains(text, s.firstKey[9:21]) {
		t.Error("the key is in it")
	}

	apart := serve(t, "--metrics-addr", "127.0.0.1:0")
	if status, _ := scraped(t, apart.url+"/metrics"); status != 404 {
		t.Errorf("on the main listener: %d", status)
	}
	said := regexp.MustCompile(`"msg":"metrics","address":"([^"]+)"`)
	var found []string
	for end := time.Now().Add(patience); found == nil && time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		found = said.FindStringSubmatch(apart.log.String())
	}
	if found == nil {
		t.Fatalf("the log has no address of the metrics:\n%s", apart.log)
	}
	if status, text := scraped(t, "http://"+found[1]+"/metrics"); status != 200 || !strings.Contains(text, "\nbailiwick_state_fresh 1") {
		t.Errorf("on their own: %d", status)
	}
}

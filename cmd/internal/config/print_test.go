package config

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
)

func TestPrint_ReadsBackAsTheSame(t *testing.T) {
	strange := Default()
	strange.DataDir = " é #: *x "
	strange.Limits.PerDayShare = 1e-9
	strange.Store.MmapSize = 1<<30 + 1
	strange.Purge.Backoff.Initial = 90*time.Minute + time.Nanosecond
	filled, err := load(t, full())
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]Config{"default": Default(), "full": filled, "strange": strange} {
		var b bytes.Buffer
		if err := c.Print(&b); err != nil {
			t.Fatal(err)
		}
		again, err := load(t, b.String())
		if err != nil {
			t.Errorf("%s: %v\n%s", name, err, b.String())
		} else if diff := cmp.Diff(c, again); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		marshalled, err := yaml.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := load(t, string(marshalled)); err != nil || !cmp.Equal(c, again) {
			t.Errorf("%s: yaml.Marshal: %v %s", name, err, cmp.Diff(c, again))
		}
	}
}

func TestPrint_ShowsUnitsAndEveryKeyInOrder(t *testing.T) {
	var b bytes.Buffer
	if err := Default().Print(&b); err != nil {
		t.Fatal(err)
	}
	const want = `dataDir: ./purger-data
log:
  level: info
  format: auto
web:
  listenAddress: 127.0.0.1:9464
  configFile: ""
  insecure: false
tenants:
  gracePeriod:
    min: 10
    max: 90
    default: 30
  protected: []
purge:
  schedule: "*/5 * * * *"
  concurrency: 64
  attempts: 10
  backoff:
    initial: 30s
    max: 6h
  callTimeout: 30s
  lease: 5m
  drainTimeout: 30s
limits:
  perPass: 1000
  perDay: 0
  perDayShare: 0.1
  perDayShareFloor: 50
  batch: 5000
api:
  immediateDelete: disabled
  confirmHostname: required
  syncTimeout: 30s
  auth:
    issuer: ""
    audience: ""
    keysFile: ""
    rolesClaim: roles
    roles: {}
    tenantClaim: tenant_id
    requireNotBefore: true
    clockSkew: 30s
  socket:
    roles:
      '*': super_admin
  limits:
    concurrency: 256
    perSubject: 50
    burst: 100
  gate:
    unknown: deny
    anonymous: loopback
  approvals:
    delete: 1
    resume: 1
    expire: 24h
store:
  transactionTarget: 10ms
  mmapSize: 4GiB
  compactAfter: 24h
  importTempDir: ""
`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Error(diff)
	}
}

func TestMarshalJSON_HasTheKeysOfTheFile(t *testing.T) {
	text, err := json.Marshal(Default())
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Tenants struct {
			Protected []string `json:"protected"`
		} `json:"tenants"`
		Purge struct {
			Concurrency int    `json:"concurrency"`
			CallTimeout string `json:"callTimeout"`
		} `json:"purge"`
		Store struct {
			MmapSize string `json:"mmapSize"`
		} `json:"store"`
	}
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	if got.Purge.Concurrency != 64 || got.Purge.CallTimeout != "30s" || got.Store.MmapSize != "4GiB" || got.Tenants.Protected == nil {
		t.Errorf("%s", text)
	}
}

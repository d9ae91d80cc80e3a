package main

import (
	"errors"
	"fmt"
	"net"
	"os"

	"github.com/prometheus/exporter-toolkit/web"
	"go.yaml.in/yaml/v3"

	"github.com/tenantpurge/purger/cmd/internal/config"
)

// checkWeb reads the web configuration file and what it refers to, and refuses
// what would be heard by others: tokens and answers beyond the loopback address
// without TLS.
func checkWeb(cfg config.Config, addresses []string) error {
	wrong := func(format string, args ...any) error {
		return &exitError{code: exitConfig, err: fmt.Errorf(format, args...)}
	}
	if err := web.Validate(cfg.Web.ConfigFile); err != nil {
		return wrong("web.configFile: %s: %w; want a file as exporter-toolkit documents it", cfg.Web.ConfigFile, err)
	}
	file, err := readWebConfig(cfg.Web.ConfigFile)
	if err != nil {
		return wrong("web.configFile: %s: %w", cfg.Web.ConfigFile, err)
	}
	if len(file.Users) > 0 && cfg.API.Auth.Issuer != "" {
		return wrong("web.configFile: %s: basic_auth_users leaves no room for the bearer tokens of api.auth.issuer, since both are sent in the header Authorization; "+
			"want one of them, or client certificates (client_auth_type) in place of the users", cfg.Web.ConfigFile)
	}
	if len(addresses) == 0 {
		addresses = []string{cfg.Web.ListenAddress}
	}
	for _, address := range addresses {
		// Asked as the toolkit asks itself: some keys of tls_server_config alone are
		// no TLS, and it then serves without.
		if !file.TLSConfig.IsEnabled() && !cfg.Web.Insecure && !onLoopback(address) {
			return wrong("web.listenAddress: %q: without TLS it would be heard by others; want the loopback address, such as 127.0.0.1:9464, "+
				"TLS by --web.config.file, or --web.insecure where something else encrypts", address)
		}
	}
	return nil
}

// readWebConfig reads the file; "" is an empty one.
func readWebConfig(path string) (web.Config, error) {
	var c web.Config
	if path == "" {
		return c, nil
	}
	data, err := os.ReadFile(path)
	return c, errors.Join(err, yaml.Unmarshal(data, &c))
}

// onLoopback reports whether nobody but this machine can reach an address.
func onLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

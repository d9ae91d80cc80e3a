package config

import (
	"errors"
	"net/url"
	"regexp"
	"strings"
)

// errSecretInFile refuses a secret that stands in the configuration.
var errSecretInFile = errors.New("a secret does not belong into the file; want ${credential:NAME} or ${file:/path}")

// errNoSecret refuses a reference where the text goes into errors and logs.
var errNoSecret = errors.New("no secret is taken here, where errors show the text; want the text itself")

// reference is what stands for a secret.
var reference = regexp.MustCompile(`\$\{(credential|file):([^{}]+)\}`)

// anyReference matches what is a reference or looks like one of another kind.
var anyReference = regexp.MustCompile(`\$\{([A-Za-z]+):([^{}]*)\}`)

// unknownReference returns the kind of the first reference in a text that is none
// that there is; "" without one.
func unknownReference(text string) string {
	for _, m := range anyReference.FindAllStringSubmatch(text, -1) {
		if !isReference(m[0]) {
			return m[1]
		}
	}
	return ""
}

// isReference reports whether s is one reference and nothing else.
func isReference(s string) bool {
	at := reference.FindStringIndex(s)
	return at != nil && at[0] == 0 && at[1] == len(s)
}

// isSecretKey reports whether what stands under a key of a record is a secret as a
// whole, whatever it looks like. clients are registrations with their tokens.
func isSecretKey(key string) bool {
	switch strings.ToLower(key) {
	case "password", "bearer", "token", "secret", "clientsecret", "clients":
		return true
	}
	return false
}

// secretName is the name of a header, a variable or a parameter, as people call
// those that hold a secret.
var secretName = regexp.MustCompile(`(?i)(^|[-_])((proxy-)?authorization|(set-)?cookie)$|(token|secret|password|passwd|(api|access|private|secret)[-_]?key)$`)

// hasSecret reports whether a text of the file, under a key, is or holds a secret
// itself. free says that the key is a name that somebody has chosen, such as that of
// a header: a reference in the text is then the secret, and the rest goes with it.
func hasSecret(key, text string, free bool) bool {
	switch {
	case free && secretName.MatchString(key):
		return text != "" && !reference.MatchString(text)
	case !free && isSecretKey(key):
		return text != "" && !isReference(text)
	case strings.Contains(text, "PRIVATE KEY-----"):
		return true
	}
	// A connection string may hold a password, as a URL or in keywords.
	bare := reference.ReplaceAllString(text, "")
	if u, err := url.Parse(bare); err == nil && u.User != nil {
		if password, _ := u.User.Password(); password != "" {
			return true
		}
	}
	return key == "dsn" && passwordKeyword.MatchString(bare)
}

var passwordKeyword = regexp.MustCompile(`(?i)\b(ssl)?password\s*=\s*('[^']|[^\s&'])`)

package config

// maxSize is the largest size of a file, in bytes.
const maxSize = 1 << 20

// Load reads the file. Keys that are not in it have the values of [Default].
// Every error is a *[Problems] and holds all that is wrong.
func Load(path string) (Config, error) {
	data, err := readFile(path)
	if err != nil {
		return Config{}, problemsError([]Problem{{File: path, Want: err.Error()}})
	}
	c, set, problems := parse(path, data)
	if c.Web.ConfigFile != "" {
		c.Web.ConfigFile, err = resolve(path, c.Web.ConfigFile)
		if err != nil {
			problems = append(problems, Problem{File: path, Line: set["web.configFile"].Line, Field: "web.configFile",
				Value: quoted(c.Web.ConfigFile), Want: err.Error()})
		}
	}
	if err := problemsError(problems); err != nil {
		return Config{}, err
	}
	return c, nil
}

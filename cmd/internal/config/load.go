package config

// maxSize is the largest size of a file, in bytes.
const maxSize = 1 << 20

// Load reads the file. Keys that are not in it have the values of [Default].
// Every error is a *[Problems] and holds all that is wrong with the text; the
// configuration is then what could be read, to look for what else is wrong: targets
// that could not are in their places, without Options.
func Load(path string) (Config, error) {
	data, err := readFile(path)
	if err != nil {
		return Default(), problemsError([]Problem{{File: path, Want: err.Error()}})
	}
	c, set, problems := parse(path, data)
	for key, file := range map[string]*string{"web.configFile": &c.Web.ConfigFile, "api.auth.keysFile": &c.API.Auth.KeysFile} {
		if *file == "" {
			continue
		}
		if *file, err = resolve(path, *file); err != nil {
			problems = append(problems, Problem{File: path, Line: set[key].Line, Field: key, Value: quoted(*file), Want: err.Error()})
		}
	}
	return c, problemsError(problems)
}

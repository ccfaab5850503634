# Copies the manifest of a host, checks it before it replaces the old one, and applies it. The content of a manifest is
# a file, and no template.
#
# `unless` is the plan. It ends with 0 if the devices are as declared. It ends with 2 if something is to change, and the
# manifest is applied. It ends with 3 if a device is blocked. Then the apply does the rest, and fails in each run until
# somebody has settled that.
#
# The file is that of the host in the module `berth`, or else `host.yaml` of it. The fact `berth_directory` can name
# another directory on the host.
$directory = $facts['berth_directory'] ? {
  undef   => '/etc/berth',
  default => $facts['berth_directory'],
}

file { $directory:
  ensure => directory,
  mode   => '0755',
}

file { "${directory}/host.yaml":
  source       => [
    "puppet:///modules/berth/${facts['networking']['hostname']}.yaml",
    'puppet:///modules/berth/host.yaml',
  ],
  mode         => '0644',
  validate_cmd => 'berth validate %',
}

exec { 'berth apply':
  command     => "berth apply --yes ${directory}",
  unless      => "berth plan --detailed-exitcode ${directory}",
  path        => $facts['path'],
  environment => ['LC_ALL=C.UTF-8'],
  logoutput   => true,
  require     => File["${directory}/host.yaml"],
}

# Copies the manifest of a host, checks it before it replaces the old one, and applies it. The content of a manifest is
# a file, and no template.
#
# `unless` is the plan. It ends with 0 if the devices are as declared. It ends with 2 if something is to change, and the
# manifest is applied. It ends with 3 if a device is blocked. Then the apply does the rest, and fails in each run until
# somebody has settled that.
$directory = '/etc/berth'

file { $directory:
  ensure => directory,
  mode   => '0755',
}

file { "${directory}/host.yaml":
  source       => "puppet:///modules/berth/${facts['networking']['hostname']}.yaml",
  mode         => '0644',
  validate_cmd => 'berth validate %',
}

exec { 'berth apply':
  command     => "berth apply --yes ${directory}",
  unless      => "berth plan --detailed-exitcode ${directory}",
  path        => ['/usr/local/bin', '/usr/bin', '/bin'],
  environment => ['LC_ALL=C.UTF-8'],
  logoutput   => true,
  require     => File["${directory}/host.yaml"],
}

#!/usr/bin/perl
# go-on.pl <template> <patience> <load>... -- <go on>... -- <QEMU that goes on> -- <QEMU that boots>
# First program of the sandbox of a Pod whose machine is a copy of a template: memory of its own is filled with the
# template's while QEMU starts, then QEMU is told over QMP to load the devices, gets what is the Pod's, and runs. What goes
# wrong up to there is undone, and the machine boots. perl: it is on every Debian, and its start costs next to nothing.
use strict;
use warnings;

# Open files are QEMU's as well.
$^F = 255;
my ($template, $patience) = splice(@ARGV, 0, 2);
my @parts = ([]);
for (@ARGV) {
  if ($_ eq '--') { push(@parts, []) } else { push(@{ $parts[-1] }, $_) }
}
my ($load, $go_on, $copy, $boot) = @parts;
my $socket = '/vm/qmp.sock';
my $qemu;
my $deadline = time() + $patience;

sub pause { select(undef, undef, undef, 0.001) }

# As the file that QEMU is told of: memfd_create and dup2 of x86-64.
sub at_number {
  my ($file, $number) = @_;
  syscall(33, $file, $number) == $number or die "dup2: $!\n";
}

sub new_memory {
  my ($name, $size) = ('ram', @_);
  my $file = syscall(319, $name, 0);
  die "memfd_create: $!\n" if $file < 0;
  open(my $memory, '+<&=', $file) or die "memory: $!\n";
  truncate($memory, $size) or die "memory: $!\n";
  at_number($file, 20);
  return $memory;
}

# Holes stay holes: SEEK_DATA, SEEK_HOLE, and sendfile from one file into the other.
sub fill {
  my ($from, $to) = @_;
  for (my $at = 0; defined($at = sysseek($from, $at, 3));) {
    my $end = sysseek($from, $at, 4) // die "memory: $!\n";
    sysseek($from, $at, 0);
    sysseek($to, $at, 0);
    while ($at < $end) {
      my $sent = syscall(40, fileno($to), fileno($from), 0, $end - $at);
      die "memory: $!\n" if $sent <= 0;
      $at += $sent;
    }
  }
}

sub gone { waitpid($qemu, 1) != 0 }

sub connected {
  my $address = pack('S a108', 1, $socket);
  for (;;) {
    socket(my $qmp, 1, 1, 0) or die "socket: $!\n";
    return $qmp if connect($qmp, $address);
    die "QEMU ended at its start\n" if gone();
    die "QEMU does not answer\n" if time() > $deadline;
    pause();
  }
}

my ($qmp, $pending) = (undef, '');

sub line {
  until ($pending =~ /\n/) {
    my $ready = '';
    vec($ready, fileno($qmp), 1) = 1;
    select($ready, undef, undef, $patience) or die "QEMU does not answer\n";
    sysread($qmp, $pending, 65536, length($pending)) or die "QEMU ended\n";
  }
  (my $line, $pending) = split(/\r?\n/, $pending, 2);
  return $line;
}

sub told {
  my ($command) = @_;
  syswrite($qmp, "$command\n") or die "QEMU: $!\n";
  for (;;) {
    my $answer = line();
    die "QEMU: $1\n" if $answer =~ /"error": \{.*"desc": "([^"]*)"/;
    return $answer if $answer =~ /"return":/;
  }
}

sub loaded {
  for (;;) {
    my $answer = told('{"execute":"query-migrate"}');
    return if $answer =~ /"status": "completed"/;
    die "QEMU refuses the state\n" if $answer =~ /"status": "failed"/;
    die "QEMU does not load the state\n" if time() > $deadline;
    pause();
  }
}

sub begin {
  open(my $from, '<:raw', "$template/memory") or die "memory: $!\n";
  open(my $devices, '<:raw', "$template/devices") or die "devices: $!\n";
  at_number(fileno($devices), 21);
  my $memory = new_memory(-s $from);
  $qemu = fork() // die "fork: $!\n";
  if ($qemu == 0) {
    { exec(@$copy) }
    kill('KILL', $$);
  }
  fill($from, $memory);
  syscall(3, $_) for 20, 21;
  $qmp = connected();
  line();
  told($_) for @$load;
  loaded();
}

unless (eval { begin(); 1 }) {
  my $why = $@;
  if ($qemu) {
    kill('KILL', $qemu);
    waitpid($qemu, 0);
  }
  syscall(3, $_) for 20, 21;
  unlink($socket);
  if (open(my $note, '>', '/vm/template-failed')) { print $note $why }
  { exec(@$boot) }
  die "$boot->[0]: $!\n";
}
for my $signal (qw(TERM INT HUP)) {
  $SIG{$signal} = sub { kill($signal, $qemu) };
}
unless (eval { told($_) for @$go_on; 1 }) {
  if (open(my $note, '>', '/vm/template-failed')) { print $note $@ }
  kill('KILL', $qemu);
}
close($qmp);
# First process of its namespace: it also collects what others leave.
while ((my $ended = wait()) != $qemu) { last if $ended < 0 && !$!{EINTR} }
exit($? & 127 ? 128 + ($? & 127) : $? >> 8);
